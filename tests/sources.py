"""Data sets as numbers alone: what visits need of them, without files."""

from collections.abc import Sequence

import numpy as np

from pipeline.orders.courses import Version
from pipeline.orders.segments import Segment
from pipeline.orders.visits import Visits
from pipeline.orders.window_order import TableRows
from schemas.manifest import TableBlock


def table_of(blocks: Sequence[Sequence[int]]) -> TableRows:
    """A table whose shards have the rows `blocks[block][shard]`."""
    described, first_row = [], 0
    for rows in blocks:
        described.append(TableBlock("train", len(rows), first_row, sum(rows)))
        first_row += sum(rows)
    return TableRows(described, lambda block: np.array(blocks[block], np.int64))


def version_of(digest: str, shard_rows: Sequence[int], block_shards: int = 4) -> Version:
    """A version with shards of `shard_rows`, `block_shards` of them to a block."""
    starts = range(0, len(shard_rows), block_shards)
    blocks = [list(shard_rows[first : first + block_shards]) for first in starts]
    return Version(digest, table_of(blocks))


class GivenVersions:
    """A data set that has grown from version to version, the last one being given."""

    def __init__(self, *versions: Version) -> None:
        self._versions = {version.digest: version for version in versions}
        self.current = versions[-1]

    def find(self, digest: str) -> Version | None:
        """The version of that digest."""
        return self._versions.get(digest)


def segment(first_row: int, datasets: dict[str, float], seed: int = 1, order: str = "global"):
    """A segment with its data sets in order of digest."""
    return Segment(first_row, dict(sorted(datasets.items())), seed, order)


def pairs(visits: Visits, start: int, stop: int) -> list[tuple[int, int]]:
    """(number of the source, row number) at the indices [start, stop)."""
    numbers, rows = visits.rows(np.arange(start, stop))
    return list(zip(numbers.tolist(), rows.tolist(), strict=True))
