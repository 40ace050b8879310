"""Batches: the rows of one rank, gathered many batches at once.

Stands between visits and readers below and the prefetching `RowStream` above.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.reader import RowReader, gather_mixed
from pipeline.visits import Numbers, Visits
from schemas.errors import BlankstreamError

GATHER_ROWS, MAX_GATHER_BATCHES = 1024, 64
"""One gather takes as many batches as have about this many rows: 16 of 64."""

PLAN_ROWS = 16384
"""Row numbers computed at once; the order costs 100 ns a row for 1,024 rows, 25 ns for these."""


@dataclass(frozen=True, slots=True)
class Batch:
    """This rank's rows of one global batch, as views of `rows` (n, width) in the type on disk.

    `datasets` and `row_numbers`, int64 (n,), say where each row is from: an index into
    `RowStream.datasets` and the row's number in the split. `consumed_rows` counts the rows of all
    ranks up to the end of this batch. The arrays belong to the consumer and may be written to.
    """

    rows: NDArray[Any]
    datasets: Numbers
    row_numbers: Numbers
    consumed_rows: int
    slices: dict[str, slice]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def tokens(self) -> NDArray[Any]:
        """Token ids (n, row_tokens)."""
        return self.rows[:, self.slices["tokens"]]

    @property
    def labels(self) -> NDArray[Any]:
        """Labels (n, row_tokens); `RowFormat.ignore` where nothing is predicted."""
        return self.rows[:, self.slices["labels"]]

    @property
    def positions(self) -> NDArray[Any]:
        """Positions (n, row_tokens)."""
        return self.rows[:, self.slices["positions"]]

    @property
    def block_positions(self) -> NDArray[Any]:
        """Block positions (n, row_tokens)."""
        return self.rows[:, self.slices["block_positions"]]

    @property
    def lengths(self) -> NDArray[Any]:
        """Tokens of each sample (n, max_samples), 0 for none."""
        return self.rows[:, self.slices["lengths"]]

    @property
    def boundaries(self) -> NDArray[Any]:
        """Length of part A of each sample (n, max_samples)."""
        return self.rows[:, self.slices["boundaries"]]

    @property
    def objectives(self) -> NDArray[Any]:
        """Objective code of each sample (n, max_samples), 0 for none."""
        return self.rows[:, self.slices["objectives"]]


@dataclass(frozen=True)
class Cut:
    """How the endless sequence of rows is cut: rank `rank` of `world_size` takes its share of each
    global batch of `batch_rows` rows; the last ends at `total` (None: never) and may be short."""

    batch_rows: int
    rank: int
    world_size: int
    total: int | None
    drop_last: bool

    def stop(self, start: int) -> int:
        """End of the global batch that begins at row `start`; `start` itself when there is none."""
        stop = start + self.batch_rows
        if self.total is None or stop <= self.total:
            return stop
        return start if self.drop_last else max(start, self.total)

    def share(self, start: int, stop: int) -> tuple[int, int]:
        """This rank's half-open part of the global batch [start, stop)."""
        rows = stop - start
        return (
            start + rows * self.rank // self.world_size,
            start + rows * (self.rank + 1) // self.world_size,
        )


@dataclass(frozen=True, slots=True)
class _Planned:
    """A `Batch` before its rows are gathered."""

    datasets: Numbers
    row_numbers: Numbers
    consumed_rows: int


class BatchSource:
    """Batches from any row on; owns the readers, so that one thread at a time may use it."""

    def __init__(self, visits: Visits, readers: Sequence[RowReader], cut: Cut) -> None:
        self._visits, self._readers, self._cut = visits, readers, cut
        self._slices = readers[0].row_format.slices
        share = max(1, cut.batch_rows // cut.world_size)
        self._gather_batches = min(max(GATHER_ROWS // share, 1), MAX_GATHER_BATCHES)
        self._plan_batches = max(PLAN_ROWS // share, self._gather_batches)

    def gathered(self, start: int) -> Iterator[list[Batch]]:
        """Lists of batches from global row `start` on; the first lists are short, to begin soon.

        A damaged shard is raised in place of the first batch that needs it.
        """
        planned = 1
        while plan := self._plan(start, planned):
            step = min(planned, self._gather_batches)
            for first in range(0, len(plan), step):
                yield from self._gather(plan[first : first + step])
            start = plan[-1].consumed_rows
            planned = min(2 * planned, self._plan_batches)

    def close(self) -> None:
        """Release the readers' files."""
        for reader in self._readers:
            reader.close()

    def _plan(self, start: int, count: int) -> list[_Planned]:
        """Which rows the next `count` batches consist of; fewer at the end."""
        ends = [start]
        while len(ends) <= count and (stop := self._cut.stop(ends[-1])) > ends[-1]:
            ends.append(stop)
        shares = [self._cut.share(first, stop) for first, stop in itertools.pairwise(ends)]
        indices = [np.arange(first, stop) for first, stop in shares]
        datasets, rows = self._visits.rows(np.concatenate([np.arange(0), *indices]))
        edges = np.cumsum([0, *(len(part) for part in indices)]).tolist()
        return [
            _Planned(datasets[first:stop], rows[first:stop], end)
            for (first, stop), end in zip(itertools.pairwise(edges), ends[1:], strict=True)
        ]

    def _gather(self, plan: list[_Planned]) -> Iterator[list[Batch]]:
        try:
            yield self._batches(plan)
        except BlankstreamError:
            if len(plan) == 1:
                raise
            for batch in plan:
                yield self._batches([batch])

    def _batches(self, plan: list[_Planned]) -> list[Batch]:
        datasets = np.concatenate([part.datasets for part in plan])
        numbers = np.concatenate([part.row_numbers for part in plan])
        rows = gather_mixed(self._readers, datasets, numbers)
        ends = itertools.accumulate(len(part.row_numbers) for part in plan)
        return [
            Batch(
                rows[end - len(part.row_numbers) : end],
                part.datasets,
                part.row_numbers,
                part.consumed_rows,
                self._slices,
            )
            for part, end in zip(plan, ends, strict=True)
        ]
