"""The shards of one block of the table in use: what is open, and which record batches are verified.

Stands between the table and `reader.py`, which does its arithmetic on these arrays.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.row_numbers import Numbers
from pipeline.shard_reading.shard_table import BlockColumns
from pipeline.table import REBUILD_REMEDY
from schemas.errors import DatasetError
from schemas.manifest import ShardEntry

UNVERIFIED = -1


class RowShard(Protocol):
    """One shard, from whose record batches rows are copied.

    Given its part of a block's `offsets`, it writes there where the rows of a record batch begin,
    counted in bytes from `refresh()`, and `UNVERIFIED` where that no longer holds. Methods raise
    `CorruptDataError` for damage and a missing file, `DatasetError` for rows that are not those of
    the table.
    """

    entry: ShardEntry
    path: Path
    batch_rows: int
    """Rows of every record batch but the last."""

    def holds(self) -> bool:
        """True when what `refresh` gave and `verify` noted since still holds, the file being
        unchanged; `refresh` makes it so, or says what is wrong."""

    def refresh(self) -> int:
        """Address that offsets count from; what a change of the file makes void is forgotten."""

    def verify(self, batch: int) -> None:
        """Verify record batch `batch` and note where its rows begin."""

    def origin(self, index: int) -> NDArray[np.uint32]:
        """Origin (4, max_samples) of row `index` of the shard, verified."""

    def close(self) -> None:
        """Release the file; it is opened again when it is needed."""


class ShardBlock:
    """The shards of one block of the table, as arrays over its shards and its record batches.

    Row `row` of record batch `batch`, counted over the block, of shard `shard` lies at address

        bases[shard] + offsets[batch] + row * row_bytes

    `bases` are what `OpenShards.refresh` writes, where mappings begin, or 0 for decoded shards;
    void once the shard is closed, so that every gather refreshes the shards it touches. `offsets`
    are what the shards write (`RowShard.verify`), `UNVERIFIED` where nothing may be copied; void
    once the file has changed, or the memory of decoded rows was used for others, and then the shard
    writes that too. Hashing takes a while in which files looked at before may change: of a pass in
    which anything was hashed no address is used, and another one looks at all files again
    (`reader.py`).
    """

    def __init__(self, columns: BlockColumns) -> None:
        self.columns = columns
        self.shards: list[RowShard | None] = [None] * len(columns)
        self.first_rows = columns.first_rows
        self.first_batches = np.cumsum(np.concatenate([[0], columns.num_batches]))
        self.offsets = np.full(int(self.first_batches[-1]), UNVERIFIED, np.int64)
        self.batch_rows = np.ones(len(columns), np.int64)
        self.bases = np.zeros(len(columns), np.int64)

    def offsets_of(self, number: int) -> Numbers:
        """The part of `offsets` that belongs to shard `number`."""
        start, stop = self.first_batches[number : number + 2]
        return self.offsets[start:stop]

    def shard_and_batch(self, batches: Numbers) -> tuple[Numbers, Numbers]:
        """Numbers of the shards (n,), and of the record batches in them, of `batches` (n,)."""
        numbers = np.searchsorted(self.first_batches, batches, side="right") - 1
        return numbers, batches - self.first_batches[numbers]


def check_batch_rows(path: Path, entry: ShardEntry, num_batches: int, batch_rows: int) -> int:
    """`batch_rows`, the rows of the first of `num_batches` record batches: all arithmetic on rows
    rests on it. `DatasetError` when the shard cannot hold the rows that the table says."""
    if not batch_rows or -(-entry.rows // batch_rows) != num_batches:
        raise DatasetError(
            f"{path}: {num_batches} record batches of {batch_rows} rows cannot hold the "
            f"{entry.rows} rows of the shard table; {REBUILD_REMEDY}"
        )
    return batch_rows
