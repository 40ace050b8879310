"""The stream: verified rows of weighted data sets in batches, endless, resumable at any row.

Last step of the data path; trainers read from here. Its state is the number of rows consumed and
what was mixed: the order is a pure function of them (`visits.py`), so that resuming costs nothing
and another world size continues with the same rows.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pipeline.batches import Batch, BatchSource, Cut
from pipeline.dataset import MAX_OPEN_FILES, open_mixture
from pipeline.prefetch import Prefetcher
from pipeline.segments import Segment, State, read_state, write_state
from pipeline.visits import Source, Visits
from schemas.errors import UserError
from schemas.manifest import TRAIN

__all__ = ["Batch", "RowStream"]

MAX_NUMBER = (1 << 62) - 1
"""Largest number of rows that can be consumed, and of anything else that is counted here."""

PREFETCH_DEPTH = 2
"""Gathers (of about 1,024 rows) that wait for the consumer."""


class RowStream:
    """An iterator of `Batch`: the rows of `datasets` (folder -> weight, or one folder), mixed.

    Each data set is visited in an order of its own, drawn anew in each of its epochs; within every
    prefix its rows are within one of its share. Batches, states and epochs count rows of all ranks:
    `batch_rows` is the global batch, of which rank `rank` gets a contiguous share; the shares
    differ by at most one row. With `epochs` it ends before any data set would begin epoch `epochs`,
    with a short batch unless `drop_last`. `state` (from `state()`) or `consumed_rows` says where to
    begin. Rows are copies, verified as in `RowReader`. Close it, or use it as a context manager.

    Raises `UserError` for arguments, `DatasetError` for data sets that do not fit the arguments,
    each other or the state, and while iterating `CorruptDataError` in place of the first batch that
    needs a damaged shard; after a repair the iteration can go on. Not thread-safe.
    """

    def __init__(
        self,
        datasets: Mapping[Path | str, float] | Path | str,
        batch_rows: int = 64,
        seed: int = 1,
        rank: int = 0,
        world_size: int = 1,
        consumed_rows: int = 0,
        state: State | None = None,
        split: str = TRAIN,
        epochs: int | None = None,
        drop_last: bool = False,
    ) -> None:
        _check_at_least(1, batch_rows=batch_rows, world_size=world_size)
        _check_at_least(0, seed=seed, rank=rank, consumed_rows=consumed_rows)
        if epochs is not None:
            _check_at_least(1, epochs=epochs)
        if rank >= world_size:
            raise UserError(f"rank={rank}: expected less than world_size={world_size}")
        mixed = open_mixture(datasets, split)
        self.datasets = tuple(dataset for dataset, _ in mixed)
        """In the order that `Batch.datasets` refers to: by digest, however they were given."""
        self._segment = Segment({dataset.digest: weight for dataset, weight in mixed}, int(seed))
        sources = [Source(one.digest, one.num_rows(split), weight) for one, weight in mixed]
        visits = Visits(sources, seed)
        self.total_rows = None if epochs is None else visits.total(epochs)
        """Rows of the whole stream, or None when it is endless."""
        cut = Cut(batch_rows, rank, world_size, self.total_rows, drop_last)
        open_files = max(1, MAX_OPEN_FILES // len(mixed))
        readers = [dataset.reader(split, open_files) for dataset in self.datasets]
        self.row_format = self.datasets[0].row_format
        self._source = BatchSource(visits, readers, cut)
        self._consumed, self._closed = int(consumed_rows), False
        self._prefetcher: Prefetcher[list[Batch]] | None = None
        self._ready: Iterator[Batch] = iter(())
        if state is not None and consumed_rows:
            raise UserError(f"consumed_rows={consumed_rows} beside a state: give one of them")
        if state is not None:
            self.load_state_dict(state)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        batch = next(self._ready, None)
        if batch is None:
            self._ready = iter(self._next_gathered())
            batch = next(self._ready)
        self._consumed = batch.consumed_rows
        return batch

    def state(self) -> State:
        """Plain values from which any rank of any world size continues behind the last batch."""
        return write_state(self._consumed, self._segment)

    def state_dict(self) -> State:
        """`state()`, under the name that trainers expect."""
        return self.state()

    def load_state_dict(self, state: State) -> None:
        """Continue at `state`; `DatasetError` names what was mixed differently there."""
        consumed_rows = read_state(state, self._segment)
        self._stop()
        self._consumed = consumed_rows

    def close(self) -> None:
        """Stop the thread and release the files; `state()` stays available."""
        self._stop()
        self._source.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _next_gathered(self) -> list[Batch]:
        if self._closed:
            raise UserError("this stream is closed; make a new one with state=stream.state()")
        if self._prefetcher is None or self._prefetcher.is_lost:
            self._prefetcher = Prefetcher(self._source.gathered(self._consumed), PREFETCH_DEPTH)
        try:
            return self._prefetcher.get()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        if self._prefetcher is not None:
            self._prefetcher.close()
        self._prefetcher, self._ready = None, iter(())


def _check_at_least(low: int, **values: int) -> None:
    for name, value in values.items():
        number = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not number or not low <= value <= MAX_NUMBER:
            raise UserError(f"{name}={value!r}: expected an integer in {low}..{MAX_NUMBER}")
