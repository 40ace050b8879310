"""The shard table as a reader sees it: from a row's number to its shard, one block at a time.

Stands between `pipeline/table.py`, which knows the columns, and `reader.py`. A block is verified
and copied when a row of it is asked for; nothing of the others is read.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.shard_formats.arrow_file import VerifiedArrowFile
from pipeline.shard_formats.arrow_values import values_of
from pipeline.shard_reading.shard_places import ShardPlace, open_stored
from pipeline.table import REBUILD_REMEDY, decode_entries
from schemas.errors import DatasetError
from schemas.manifest import TABLE_SCHEMA, Manifest, ShardEntry, StoredFile, TableBlock

T = TypeVar("T")


class BlockColumns:
    """The shards of one block of the table, by column; an entry is made when it is asked for.

    `rows`, `first_rows` and `num_batches` are int64, one number for each shard. Copies: what
    happens to the file later is no matter.
    """

    rows: NDArray[np.int64]
    first_rows: NDArray[np.int64]
    num_batches: NDArray[np.int64]

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = pa.ipc.read_record_batch(batch.serialize(), batch.schema)
        self.rows = values_of(self._batch.column("rows")).astype(np.int64)
        self.first_rows = values_of(self._batch.column("first_row")).astype(np.int64)
        ends = values_of(self._batch.column("xxh3").offsets)
        self.num_batches = np.diff(ends).astype(np.int64) - 2

    def __len__(self) -> int:
        return len(self.rows)

    def entry(self, number: int) -> ShardEntry:
        """Shard `number` of the block."""
        return decode_entries(self._batch.slice(number, 1))[0]

    def stored(self, number: int) -> StoredFile:
        """The file of shard `number`."""
        return self.entry(number).stored

    def check(self, block: TableBlock) -> None:
        """Raise `DatasetError` unless these are the shards of `block`, each with rows and hashes,
        in order and without a gap."""
        edges = np.cumsum(np.concatenate([[block.first_row], self.rows]))
        is_whole = edges[-1] == block.first_row + block.rows and (np.diff(edges) > 0).all()
        is_whole &= np.array_equal(edges[:-1], self.first_rows) and (self.num_batches > 0).all()
        if not is_whole or len(self) != block.shards:
            found = f"{len(self)} shards of the table"
            if len(self):
                found = f"{self._batch.column('path')[0]} and what follows, {found},"
            raise DatasetError(
                f"{found} do not hold rows {block.first_row}..{block.first_row + block.rows} of "
                f"{block.split} in {block.shards} shards; {REBUILD_REMEDY}"
            )


class ShardTable:
    """The shards of one split, in order, found by row number; a block is decoded when asked for.

    Its file is opened through `place`, again where a damaged copy of it was set aside. Errors as of
    `VerifiedArrowFile`.
    """

    def __init__(self, place: ShardPlace, manifest: Manifest, split: str) -> None:
        self._place = place
        self.stored = manifest.table
        """Its file."""
        self._file: VerifiedArrowFile | None = None
        numbered = [
            (number, block)
            for number, block in enumerate(manifest.table_blocks)
            if block.split == split
        ]
        self._numbers = [number for number, _ in numbered]
        self.blocks = [block for _, block in numbered]
        """The blocks of the split, counted from 0 below."""
        self.first_rows = np.array([block.first_row for block in self.blocks], np.int64)

    def block_of(self, row: int) -> int:
        """Index of the block that holds row number `row` of the split."""
        return int(np.searchsorted(self.first_rows, row, side="right")) - 1

    def columns(self, block: int) -> BlockColumns:
        """The shards of block `block`, verified; `DatasetError` unless they hold its rows."""
        columns = self._copied(block, BlockColumns)
        columns.check(self.blocks[block])
        return columns

    def shards(self, block: int) -> list[ShardEntry]:
        """The shards of block `block`, verified."""
        return self._copied(block, decode_entries)

    def __iter__(self) -> Iterator[ShardEntry]:
        for block in range(len(self.blocks)):
            yield from self.shards(block)

    def close(self) -> None:
        """Release the file; the table may be used again."""
        if self._file is not None:
            self._file.close()

    def _copied(self, block: int, copy: Callable[[pa.RecordBatch], T]) -> T:
        """What `copy` keeps of a block, of a file that was the same before and after."""

        def read(path: Path) -> T:
            file = self._opened(path)
            file.recheck()
            while True:
                copied = copy(file.batch(self._numbers[block]))
                if file.recheck():
                    return copied

        return open_stored(self._place, self.stored, read)

    def _opened(self, path: Path) -> VerifiedArrowFile:
        if self._file is None or self._file.path != path:
            self._file = VerifiedArrowFile(path, self.stored.hashes, REBUILD_REMEDY, TABLE_SCHEMA)
        return self._file
