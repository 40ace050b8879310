"""The stream: verified rows of weighted data sets in batches, endless, resumable at any row.

Last step of the data path. Its state is the number of rows consumed and what was mixed: the order
is a pure function of them (`orders/`), so that any world size continues with the same rows.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import numpy as np

from pipeline.batch import Batch
from pipeline.batch_memory import check_batch_memory
from pipeline.batches import BatchSource, Cut
from pipeline.cache_need import check_caches, check_tables
from pipeline.closing_at_exit import close_at_exit
from pipeline.decoded_memory import check_memory, divide, memory_of
from pipeline.given_data import Given, open_mixture, opened_cache
from pipeline.given_numbers import truth_value, whole_number
from pipeline.mixed_data import MixedData, Segments
from pipeline.orders.order_names import AUTO, OrderWish, window_shards_of
from pipeline.orders.segments import State, write_state
from pipeline.orders.visits import Visits
from pipeline.row_numbers import Numbers
from pipeline.shard_cache.folder import CacheFolder
from pipeline.supply import PREFETCH_DEPTH, BatchSupply
from schemas.errors import UserError
from schemas.manifest import TRAIN
from schemas.train_config import MAX_BATCH_ROWS, MAX_SEED

__all__ = ["Batch", "RowStream"]


@dataclass
class _Reading:
    """What is read, and up to which row; of one history, whatever comes between."""

    source: BatchSource
    visits: Visits
    segments: Segments
    total_rows: int | None
    consumed_rows: int


class RowStream:
    """An iterator of `Batch`: the rows of `datasets` (folder or URL -> weight, or one), mixed.

    In place of a folder or URL an opened `Dataset` may stand, which one stream at a time reads: the
    very version that the caller has looked at.

    **Order.** Each data set is visited in an order drawn anew in each of its epochs: `global` over
    all rows, or `windowed`, at random inside `window_shards` shards at a time, which are in random
    order; `auto` is global where all shards can be mapped at once (`Dataset.max_open_shards`), but
    beside `window_shards` windowed. Within every prefix of a segment a data set's rows are within
    one of its share.

    **Batches.** `batch_rows` is the global batch, at most `MAX_BATCH_ROWS`, of which rank `rank`
    gets a contiguous share; the shares differ by at most one row and may be empty. Batches go on
    over the ends of epochs, and hold rows of several epochs where they are larger than a data set.
    With `epochs` the stream ends before any data set that is mixed would begin epoch `epochs`,
    counted from its first row on; the last batch is short, unless `drop_last` leaves a short one
    out. A batch that this machine has no memory for is refused.

    **State.** `state` (from `state()`) or `consumed_rows` says where to begin. Where a state was
    saved with other data sets, weights, seed or order, it is refused; with `change` the rows behind
    it are mixed as given, and the visits of every data set go on: epochs that have begun end in
    their order, a data set that was left out goes on where it was, appended rows join at the next
    epoch. With `replay` rows are mixed as the state says alone; `datasets` are only read.

    **Elsewhere.** Shards behind a URL are fetched before they are needed into the folder `cache`,
    of at most `cache_bytes` (`CACHE_BYTES`), which the processes of a machine may share; a
    `CacheFolder` has its own limit.

    Rows are copies, verified as in `RowReader`. Close it, or use it as a context manager; what is
    open when the interpreter ends is closed then. Raises `UserError` for arguments, `DatasetError`
    for data sets that do not fit the arguments, each other or the state, and while iterating
    `CorruptDataError` in place of the first batch that needs a damaged shard; after a repair the
    iteration can go on. Not thread-safe.
    """

    def __init__(
        self,
        datasets: Given,
        batch_rows: int = 64,
        seed: int = 1,
        rank: int = 0,
        world_size: int = 1,
        consumed_rows: int = 0,
        state: State | None = None,
        split: str = TRAIN,
        epochs: int | None = None,
        drop_last: bool = False,
        order: str = AUTO,
        window_shards: int | None = None,
        change: bool = False,
        replay: bool = False,
        cache: CacheFolder | Path | str | None = None,
        cache_bytes: int | None = None,
    ) -> None:
        seed = whole_number("seed", seed, 0, MAX_SEED)
        consumed_rows = whole_number("consumed_rows", consumed_rows, 0)
        self._epochs = None if epochs is None else whole_number("epochs", epochs, 1)
        self._cut = _checked_cut(batch_rows, rank, world_size, drop_last)
        if state is not None and consumed_rows:
            raise UserError(f"consumed_rows={consumed_rows} beside a state: give one of them")
        self._is_change = truth_value("change", change)
        self._is_replay = truth_value("replay", replay)
        if self._is_change and self._is_replay:
            raise UserError("change=True beside replay=True: give one of them")
        wish = OrderWish(order, window_shards)
        mixed = open_mixture(datasets, split, opened_cache(cache, cache_bytes))
        self.datasets = tuple(dataset for dataset, _ in mixed)
        """In the order that `Batch.datasets` refers to: by digest, however they were given."""
        self.row_format = self.datasets[0].row_format
        self._split, self._memory = split, memory_of(self.datasets, split)
        self._readers = [
            dataset.reader(split, dataset.max_open_shards(len(mixed)), memory)
            for dataset, memory in zip(self.datasets, self._memory.parts, strict=True)
        ]
        check_tables(self.datasets, split, wish)
        self._data = MixedData(mixed, self._readers, split, seed, wish)
        self._supply = BatchSupply([dataset.place for dataset in self.datasets])
        if state is None:
            self._begin(consumed_rows, (self._data.wanted,))
        else:
            self.load_state_dict(state)
        close_at_exit(self)

    @property
    def total_rows(self) -> int | None:
        """Rows of the whole stream, or None when it is endless."""
        return self._reading.total_rows

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        reading = self._reading
        batch = self._supply.behind(reading.source, reading.consumed_rows)
        reading.consumed_rows = batch.consumed_rows
        return batch

    def state(self) -> State:
        """Plain values from which any rank of any world size continues behind the last batch."""
        return write_state(self._reading.consumed_rows, self._reading.segments)

    def state_dict(self) -> State:
        """`state()`, under the name that trainers expect."""
        return self.state()

    def load_state_dict(self, state: State) -> None:
        """Continue at `state`; `DatasetError` names what was mixed differently there."""
        self._begin(*self._data.resumed(state, self._is_change, self._is_replay))

    def rows_at(self, start: int, stop: int) -> tuple[Numbers, Numbers]:
        """Where the rows [start, stop) of the stream, those of all ranks, are from: of each an
        index into `datasets` and its row number in the split, int64 (stop - start,) each.

        No row is read, and the state stays as it is; what was read ahead is read again. Rows may
        lie before what was consumed, and behind the last epoch. `UserError` for numbers that are
        none of rows, `DatasetError` where rows from there on are of a data set that is not given.
        """
        start = whole_number("start", start, 0)
        stop = whole_number("stop", stop, start)
        self._supply.check_open()
        self._supply.stop()
        visits = self._reading.visits
        visits.check_given(start)
        return visits.rows(np.arange(start, stop))

    def close(self) -> None:
        """Stop the thread and release the files; `state()` stays available."""
        self._supply.close()
        for reader in self._readers:
            reader.close()
        for dataset in self.datasets:
            dataset.place.close()

    def __reduce__(self) -> NoReturn:
        """A copy would have neither thread nor files, and hold places in memory of others."""
        raise UserError(
            "a stream can be neither copied nor sent to another process: give stream.state(), and "
            "make a stream from it there"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, consumed_rows: int, segments: Segments) -> None:
        self._supply.stop()
        visits = self._data.visits(segments, consumed_rows)
        window_shards = window_shards_of(segments[-1].order)
        divide(self._memory, self.datasets, self._split, window_shards)
        if window_shards is not None and not self._is_replay:
            check_memory(self._memory, self.datasets, self._split, window_shards)
        opened = list(zip(self.datasets, self._readers, strict=True))
        check_caches(opened, visits, consumed_rows, self._is_replay)
        total = None if self._epochs is None else visits.total(self._epochs)
        cut = replace(self._cut, total=total)
        _check_memory(cut, self.row_format.row_bytes)
        source = BatchSource(visits, self._readers, cut)
        self._reading = _Reading(source, visits, segments, total, consumed_rows)


def _check_memory(cut: Cut, row_bytes: int) -> None:
    """One batch is with the caller while the next ones are made; there may be fewer of them."""
    num_batches = PREFETCH_DEPTH + 1
    if cut.total is not None:
        num_batches = min(num_batches, -(-cut.total // cut.batch_rows))
    check_batch_memory(cut.batch_rows, cut.share_rows, row_bytes, num_batches)


def _checked_cut(batch_rows: int, rank: int, world_size: int, drop_last: bool) -> Cut:
    batch_rows = whole_number("batch_rows", batch_rows, 1, MAX_BATCH_ROWS)
    rank, world_size = whole_number("rank", rank, 0), whole_number("world_size", world_size, 1)
    if rank >= world_size:
        raise UserError(f"rank={rank}: expected less than world_size={world_size}")
    return Cut(batch_rows, rank, world_size, None, truth_value("drop_last", drop_last))
