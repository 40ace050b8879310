"""Shards in memory: from a verified record batch to the address of its rows, and the one copy.

Stands below `reader.py`, which keeps a bounded number of shards mapped.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.shard_formats.arrow_file import VerifiedArrowFile
from pipeline.table import REBUILD_REMEDY
from schemas.errors import DatasetError
from schemas.manifest import ShardEntry, TableBlock
from schemas.samples import RowFormat

Numbers = NDArray[np.int64]

UNVERIFIED = -1
_MAX_EXTENT = 1 << 62
"""NumPy's limit on the bytes of an array, overlapping or not."""


class MappedShard:
    """One shard's file; `offsets` is its part of the block's array."""

    def __init__(
        self, folder: Path, entry: ShardEntry, row_format: RowFormat, offsets: Numbers
    ) -> None:
        self.entry, self._format, self._offsets = entry, row_format, offsets
        path = checked_path(folder, entry.path)
        self.file = VerifiedArrowFile(path, entry.hashes, REBUILD_REMEDY)
        self._version = self.file.version
        self.batch_rows = self._batch_rows()

    def _batch_rows(self) -> int:
        """Rows of every record batch but the last; all arithmetic on rows rests on it."""
        rows, num_batches = self.entry.rows, self.file.num_batches
        batch_rows = rows if num_batches == 1 else self.file.batch(0).num_rows
        if not batch_rows or -(-rows // batch_rows) != num_batches:
            raise DatasetError(
                f"{self.file.path}: {num_batches} record batches of {batch_rows} rows cannot hold "
                f"the {rows} rows of the shard table; {REBUILD_REMEDY}"
            )
        return batch_rows

    def refresh(self) -> int:
        """Address of the mapping; what was verified is forgotten when the file has changed."""
        self.file.recheck()
        if self._version != self.file.version:
            self._offsets[:] = UNVERIFIED
            self._version = self.file.version
        return self.file.address

    def verify(self, batch: int) -> None:
        """Verify record batch `batch` and note where its rows begin."""
        self.refresh()
        rows = self.file.batch(batch).column("row")
        num_rows = min(self.batch_rows, self.entry.rows - batch * self.batch_rows)
        expected = self._format.arrow_schema().field("row").type
        address, num_bytes = rows.values.buffers()[1].address, rows.values.buffers()[1].size
        needed = num_rows * self._format.width * np.dtype(self._format.dtype).itemsize
        if rows.type != expected or len(rows) != num_rows or num_bytes < needed or rows.offset:
            raise DatasetError(
                f"{self.file.path}: record batch {batch} is {len(rows)} rows of {rows.type}, "
                f"expected {num_rows} of {expected}; {REBUILD_REMEDY}"
            )
        self._offsets[batch] = address - self.file.address


class ShardBlock:
    """The shards of one block of the table, as arrays over its shards and its record batches.

    `offsets` counts bytes from the start of a shard's file to the first row of a record batch, and
    is `UNVERIFIED` until the batch was verified; `bases` are the addresses of the mappings.
    """

    def __init__(self, block: TableBlock, entries: Sequence[ShardEntry]) -> None:
        self.entries = entries
        self.shards: list[MappedShard | None] = [None] * len(entries)
        ends = block.first_row + np.cumsum([entry.rows for entry in entries])
        self.first_rows = np.array([entry.first_row for entry in entries], np.int64)
        if ends.tolist() != [*self.first_rows[1:].tolist(), block.first_row + block.rows]:
            raise DatasetError(
                f"{entries[0].path} and the shards behind it in the table do not hold rows "
                f"{block.first_row}..{block.first_row + block.rows} of {block.split}; "
                f"{REBUILD_REMEDY}"
            )
        counts = [len(entry.hashes.xxh3) - 2 for entry in entries]
        self.first_batches = np.cumsum([0, *counts])
        self.offsets = np.full(sum(counts), UNVERIFIED, np.int64)
        self.batch_rows = np.ones(len(entries), np.int64)
        self.bases = np.zeros(len(entries), np.int64)

    def open(self, number: int, folder: Path, row_format: RowFormat) -> MappedShard:
        """Open shard `number` for the first time."""
        start, stop = self.first_batches[number : number + 2]
        shard = MappedShard(folder, self.entries[number], row_format, self.offsets[start:stop])
        self.batch_rows[number] = shard.batch_rows
        self.shards[number] = shard
        return shard


def checked_path(folder: Path, name: str) -> Path:
    """The file `name` of the data set in `folder`; `DatasetError` for one that lies outside."""
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links that lead in a circle, a NUL
        inside = False
    if not inside or Path(name).is_absolute() or ".." in Path(name).parts:
        raise DatasetError(
            f"{folder}: its shard table names {name!r}, which lies outside the data set; take the "
            "data set from a source you trust"
        )
    return path


class _Memory:
    """This process's memory as overlapping items of `item_bytes`, one beginning at every byte."""

    def __init__(self, start: int, count: int, item_bytes: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (start, True),
            "shape": (count,),
            "strides": (1,),
            "typestr": f"|V{item_bytes}",
        }


def copy_memory(addresses: Numbers, item_bytes: int) -> NDArray[np.void]:
    """The `item_bytes` bytes at each of `addresses` (n,), n > 0, copied to an array (n,).

    One fancy index over all mappings: half the work of one index per shard, whose result must be
    copied once more into its place. Every address must be that of mapped memory.
    """
    start = int(addresses.min())
    count = int(addresses.max()) - start + 1
    if count * item_bytes < _MAX_EXTENT:
        memory: NDArray[np.void] = np.asarray(_Memory(start, count, item_bytes))
        return memory[addresses - start]
    items = np.empty(len(addresses), f"|V{item_bytes}")
    for half in np.array_split(np.argsort(addresses), 2):
        items[half] = copy_memory(addresses[half], item_bytes)
    return items
