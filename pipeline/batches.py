"""Batches: the rows of one rank, gathered many batches at once.

Stands between visits and readers below and the prefetching `RowStream` above.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.batch import Batch
from pipeline.batch_memory import no_memory_for
from pipeline.orders.courses import Window
from pipeline.orders.visits import Visits
from pipeline.row_numbers import Numbers
from pipeline.shard_reading.copied_memory import keep_freed_memory
from pipeline.shard_reading.reader import RowReader, gather_parts
from schemas.errors import BlankstreamError

GATHER_ROWS, GATHER_BYTES, MAX_GATHER_BATCHES = 4096, 12 << 20, 64
"""A gather looks up the rows of many batches at once, of about so many rows or bytes, then copies
them batch by batch: looking up costs as much for 64 rows as for 1,000. Three gathers at a time are
in memory, which glibc gives a thread in heaps of 64 MiB; a second heap would be given back when it
is empty and cleared again, page by page, when it is next used (`copied_memory.py`)."""

AHEAD_WINDOWS = 4
"""Windows whose shards a reader is told of: the one at hand, and those that follow."""

PLAN_ROWS = 16384
"""Row numbers computed at once; the order costs 100 ns a row for 1,024 rows, 25 ns for these."""


@dataclass(frozen=True)
class Cut:
    """How the endless sequence of rows is cut: rank `rank` of `world_size` takes its share of each
    global batch of `batch_rows` rows; the last ends at `total` (None: never) and may be short.

    A batch knows nothing of epochs: it goes on over the end of one, more than once where it is
    larger than a data set. `drop_last` leaves out a short last batch, also where it is the only
    one, so that every batch has `batch_rows` rows.
    """

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

    @property
    def share_rows(self) -> int:
        """Rows of the largest share of any rank."""
        rows = self.batch_rows if self.total is None else min(self.batch_rows, self.total)
        return -(-rows // self.world_size)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Batches whose rows are not gathered yet: where the rows of all of them are from, and of each
    batch where its rows end among these, and `Batch.consumed_rows`."""

    datasets: Numbers
    row_numbers: Numbers
    ends: list[int]
    consumed_rows: list[int]

    def __len__(self) -> int:
        return len(self.ends)

    def part(self, first: int, stop: int) -> Self:
        """Batches [first, stop), fewer at the end."""
        begin, ends = self.ends[first - 1] if first else 0, self.ends[first:stop]
        return type(self)(
            self.datasets[begin : ends[-1]],
            self.row_numbers[begin : ends[-1]],
            [end - begin for end in ends],
            self.consumed_rows[first:stop],
        )


class BatchSource:
    """Batches from any row on. It uses the readers, as one thread at a time may."""

    def __init__(self, visits: Visits, readers: Sequence[RowReader], cut: Cut) -> None:
        self._visits, self._readers, self._cut = visits, readers, cut
        keep_freed_memory()
        row_format = readers[0].row_format
        self._slices, self._row_bytes = row_format.slices, row_format.row_bytes
        share = max(1, cut.batch_rows // cut.world_size)
        gather_rows = min(GATHER_ROWS, GATHER_BYTES // row_format.row_bytes)
        self._gather_batches = min(max(gather_rows // share, 1), MAX_GATHER_BATCHES)
        self._plan_batches = max(PLAN_ROWS // share, self._gather_batches)

    def gathered(self, start: int) -> Iterator[list[Batch]]:
        """Lists of batches from global row `start` on; the first lists are short, to begin soon.

        A damaged shard, or block of their table, is raised in place of the first batch that needs
        it; `UserError` in place of one that the system gives no memory for.
        """
        try:
            yield from self._gathered(start)
        except MemoryError as error:
            cut = self._cut
            raise no_memory_for(cut.batch_rows, cut.share_rows, self._row_bytes) from error

    def _gathered(self, start: int) -> Iterator[list[Batch]]:
        planned, told = 1, dict[int, Window]()
        while plan := self._plan_or_less(start, planned):
            step = min(planned, self._gather_batches)
            for first in range(0, len(plan), step):
                part = plan.part(first, first + step)
                self._tell_ahead(start, told)
                yield from self._gather(part)
                start = part.consumed_rows[-1]
            planned = min(2 * planned, self._plan_batches)

    def _plan_or_less(self, start: int, count: int) -> _Plan:
        """The same as `_plan`; where the table is damaged only the next batch, or its error."""
        try:
            return self._plan(start, count)
        except BlankstreamError:
            if count == 1:
                raise
            return self._plan(start, 1)

    def _plan(self, start: int, count: int) -> _Plan:
        """Which rows the next `count` batches consist of; fewer at the end."""
        edges = [start]
        while len(edges) <= count and (stop := self._cut.stop(edges[-1])) > edges[-1]:
            edges.append(stop)
        shares = [self._cut.share(first, stop) for first, stop in itertools.pairwise(edges)]
        ends = list(itertools.accumulate(stop - first for first, stop in shares))
        indices = [np.arange(0), *(np.arange(first, stop) for first, stop in shares)]
        return _Plan(*self._visits.rows(np.concatenate(indices)), ends, edges[1:])

    def _tell_ahead(self, start: int, told: dict[int, Window]) -> None:
        """Say which shards are needed from row `start` on, when a window begins there or before.

        This is advice: whoever reads what cannot be looked up meets the error.
        """
        with suppress(BlankstreamError):
            for coming in self._visits.ahead(start):
                if told.get(coming.source) != coming.window:
                    told[coming.source] = coming.window
                    count = AHEAD_WINDOWS * coming.window.num_shards
                    shards = dict.fromkeys(itertools.islice(_until_error(coming.shards), count))
                    self._readers[coming.source].ahead(list(shards))

    def _gather(self, plan: _Plan) -> Iterator[list[Batch]]:
        try:
            yield self._batches(plan)
        except BlankstreamError:
            if len(plan) == 1:
                raise
            for number in range(len(plan)):
                yield self._batches(plan.part(number, number + 1))

    def _batches(self, plan: _Plan) -> list[Batch]:
        gathered = gather_parts(self._readers, plan.datasets, plan.row_numbers, plan.ends)
        edges = itertools.pairwise([0, *plan.ends])
        return [
            Batch(rows, plan.datasets[a:b], plan.row_numbers[a:b], consumed_rows, self._slices)
            for rows, (a, b), consumed_rows in zip(gathered, edges, plan.consumed_rows, strict=True)
        ]


def _until_error(shards: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """`shards`, up to a damaged block of their table."""
    with suppress(BlankstreamError):
        yield from shards
