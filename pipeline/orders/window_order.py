"""Windowed order of an epoch: shards in random order, rows at random inside a few shards at a time.

Stands beside `order.py`, for shards that are fetched or decoded before they are read: a reader
holds one window of shards. Nothing is stored but two groups of blocks of the shard table.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.orders.order import Permutation
from pipeline.row_numbers import Numbers
from schemas.errors import DatasetError
from schemas.manifest import TableBlock

GROUP_BLOCKS = 16
"""Blocks of the shard table among whose shards the windows of a group are drawn."""

_GROUPS_KEPT = 2


@dataclass(frozen=True)
class TableRows:
    """The shards of one split, in order: `blocks` of its table, and `rows_of(block)`, the rows of
    each of the shards of a block, int64 (shards,). Of what that gives, the first
    `blocks[block].shards` count: a data set that was grown since may have more."""

    blocks: Sequence[TableBlock]
    rows_of: Callable[[int], Numbers]

    @property
    def num_rows(self) -> int:
        """Rows of the split."""
        return self.blocks[-1].first_row + self.blocks[-1].rows if self.blocks else 0

    def rows(self, block: int) -> Numbers:
        """Rows of each shard of `block`; `DatasetError` when they are not those of `blocks`."""
        described = self.blocks[block]
        rows = np.asarray(self.rows_of(block)[: described.shards], np.int64)
        if len(rows) != described.shards or int(rows.sum()) != described.rows:
            raise DatasetError(
                f"block {block} of the shard table of {described.split}: {len(rows)} shards of "
                f"{int(rows.sum())} rows, expected {described.shards} of {described.rows}, since "
                "data sets only ever grow; run `blankstream repair` on it"
            )
        return rows


@dataclass(frozen=True)
class EpochKey:
    """What an epoch's order is keyed by."""

    seed: int
    epoch: int
    digest: str

    def permutation(self, size: int, name: str) -> Permutation:
        """A bijection of [0, size), one for each `name`."""
        return Permutation(size, self.seed, self.epoch, f"{self.digest}/{name}")


class WindowOrder:
    """The order of one epoch over the rows of `table`, a bijection like `Permutation`.

    The blocks of the table are permuted and taken in groups of `GROUP_BLOCKS`; the shards of a
    group are permuted; each `window_shards` of them in a row are a window, the last of a group
    has what is left; the rows of a window are permuted. A pure function of table, number and key.
    """

    def __init__(self, table: TableRows, window_shards: int, key: EpochKey) -> None:
        assert window_shards >= 1, window_shards
        self._table, self._key = table, key
        self.window_shards = window_shards
        rows = np.array([block.rows for block in table.blocks], np.int64)
        self._first_rows = np.cumsum(rows) - rows
        self._blocks = key.permutation(len(rows), "blocks")(np.arange(len(rows)))
        starts = np.arange(0, len(rows), GROUP_BLOCKS)
        self._edges = _edges(np.add.reduceat(rows[self._blocks], starts) if len(rows) else rows)
        self._groups: OrderedDict[int, _Group] = OrderedDict()

    def __call__(self, indices: Numbers) -> Numbers:
        """Row numbers (n,) of the places `indices` (n,), both in [0, rows of the table)."""
        rows = np.empty(len(indices), np.int64)
        for number, here in _grouped(_interval(self._edges, indices)):
            rows[here] = self._group(number).rows(indices[here] - self._edges[number])
        return rows

    def window_start(self, index: int) -> int:
        """The place at which the window of `index` begins."""
        number = int(_interval(self._edges, np.array([index]))[0])
        edges, edge = self._group(number).window_edges, int(self._edges[number])
        return edge + int(edges[_interval(edges, np.array([index - edge]))[0]])

    def shards_ahead(self, index: int) -> Iterator[tuple[int, int]]:
        """(block, shard in the block) in the order in which windows need them, from the first
        shard of the window of `index` on, to the end of the epoch."""
        start = self.window_start(index)
        first = int(_interval(self._edges, np.array([start]))[0])
        for number in range(first, len(self._edges) - 1):
            group = self._group(number)
            skipped = start - int(self._edges[number]) if number == first else 0
            shard = int(np.searchsorted(group.shard_edges, skipped))
            yield from zip(
                group.blocks[shard:].tolist(), group.shards[shard:].tolist(), strict=True
            )

    def _group(self, number: int) -> "_Group":
        if number not in self._groups:
            self._groups[number] = self._make_group(number)
            if len(self._groups) > _GROUPS_KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(number)
        return self._groups[number]

    def _make_group(self, number: int) -> "_Group":
        blocks = self._blocks[GROUP_BLOCKS * number : GROUP_BLOCKS * (number + 1)].tolist()
        rows = [self._table.rows(block) for block in blocks]
        first_rows = [
            self._first_rows[block] + np.cumsum(part) - part
            for block, part in zip(blocks, rows, strict=True)
        ]
        sizes = [len(part) for part in rows]
        shards = np.arange(sum(sizes))
        order = self._key.permutation(len(shards), f"shards/{number}")(shards)
        return _Group(
            blocks=np.repeat(blocks, sizes)[order],
            shards=np.concatenate([np.arange(size) for size in sizes])[order],
            first_rows=np.concatenate(first_rows)[order],
            shard_edges=_edges(np.concatenate(rows)[order]),
            window_shards=self.window_shards,
            permutation=lambda size, window: self._key.permutation(size, f"rows/{number}/{window}"),
        )


class _Group:
    """The shards of a group in their order: int64 (shards,) each, edges one longer."""

    def __init__(
        self,
        *,
        blocks: Numbers,
        shards: Numbers,
        first_rows: Numbers,
        shard_edges: Numbers,
        window_shards: int,
        permutation: Callable[[int, int], Permutation],
    ) -> None:
        self.blocks, self.shards, self._first_rows = blocks, shards, first_rows
        self.shard_edges = shard_edges
        self.window_edges = np.append(shard_edges[:-1:window_shards], shard_edges[-1])
        self._permutation = permutation

    def rows(self, places: Numbers) -> Numbers:
        """Row numbers (n,) at `places` (n,) of the group."""
        inside = np.empty(len(places), np.int64)
        for window, here in _grouped(_interval(self.window_edges, places)):
            start, stop = self.window_edges[window : window + 2].tolist()
            inside[here] = start + self._permutation(stop - start, window)(places[here] - start)
        shards = _interval(self.shard_edges, inside)
        rows: Numbers = self._first_rows[shards] + inside - self.shard_edges[shards]
        return rows


def _edges(sizes: Numbers) -> Numbers:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def _interval(edges: Numbers, places: Numbers) -> Numbers:
    """Number of the half-open interval between `edges` that each place is in; none is empty."""
    return np.searchsorted(edges, places, side="right") - 1


def _grouped(numbers: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Each number that occurs, and where."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    for part in np.split(order, starts[1:]) if len(order) else []:
        yield int(numbers[part[0]]), part
