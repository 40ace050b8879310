"""Row numbers -> rows: a gather from verified, memory-mapped shards in one copy.

Stands between the order of a stream and its batches. A row number leads over the table's block and
the shard to a record batch and, once that is verified, to an address; then NumPy copies all rows
at once, whatever shards they are in.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.mapped_shards import UNVERIFIED, MappedShard, Numbers, ShardBlock, copy_memory
from pipeline.shards import origin_of
from pipeline.table import ShardTable
from schemas.manifest import ShardEntry, TableBlock
from schemas.samples import RowFormat


class RowReader:
    """The rows of one split by row number; nothing is copied that was not verified.

    A record batch is hashed when it is first touched. The identity of every touched shard is
    checked again in each call, before its rows are copied; a file changed since is verified anew.
    Outside the promise: bytes changed between that check and the copy, under a millisecond, and
    changes that leave size and times of a file as they were. At most `max_open_files` shards are
    mapped at once; one that is mapped again unchanged is not hashed again. `CorruptDataError` names
    a shard that is missing, truncated or damaged. Not thread-safe.
    """

    def __init__(
        self,
        folder: Path,
        row_format: RowFormat,
        table: ShardTable,
        blocks: Sequence[TableBlock],
        max_open_files: int,
    ) -> None:
        self._folder, self._format, self._table = folder, row_format, table
        self._row_bytes = row_format.width * np.dtype(row_format.dtype).itemsize
        self._described = blocks
        self._first_rows = np.array([block.first_row for block in blocks], np.int64)
        self._blocks: dict[int, ShardBlock] = {}
        self._mapped: OrderedDict[MappedShard, None] = OrderedDict()
        self._max_open_files = max_open_files
        self.num_rows = sum(block.rows for block in blocks)

    def gather(self, row_numbers: Numbers) -> NDArray[Any]:
        """Copies of the rows `row_numbers` (n,), each in [0, num_rows), as (n, width)."""
        if not len(row_numbers):
            return np.empty((0, self._format.width), self._format.dtype)
        self._check(int(row_numbers.min()), int(row_numbers.max()))
        numbers = np.searchsorted(self._first_rows, row_numbers, side="right") - 1
        if numbers[0] == numbers.min() == numbers.max():
            return self._gather_block(self._block(int(numbers[0])), row_numbers)
        rows = np.empty((len(row_numbers), self._format.width), self._format.dtype)
        for number in np.unique(numbers).tolist():
            here = numbers == number
            rows[here] = self._gather_block(self._block(number), row_numbers[here])
        return rows

    def origin(self, row_number: int) -> tuple[ShardEntry, int, NDArray[np.uint32]]:
        """Shard of a row, its index in the shard, and its origin (4, max_samples)."""
        self._check(row_number, row_number)
        block = self._block(self._table.block_of(row_number))
        shard = self._shard(block, int(np.searchsorted(block.first_rows, row_number, "right")) - 1)
        shard.refresh()
        index = row_number - shard.entry.first_row
        batch, place = divmod(index, shard.batch_rows)
        origin = origin_of(shard.file.batch(batch), self._format)[:, place]
        return shard.entry, index, origin.copy()

    def close(self) -> None:
        """Release every mapping; the reader may be used again."""
        self._table.close()
        while self._mapped:
            self._mapped.popitem()[0].file.close()

    def _check(self, low: int, high: int) -> None:
        """Not an assertion: what lies outside would be copied from memory of others."""
        if low < 0 or high >= self.num_rows:
            raise IndexError(f"row numbers {low}..{high} are not all in [0, {self.num_rows})")

    def _block(self, number: int) -> ShardBlock:
        if number not in self._blocks:
            shards = self._table.shards(number)
            self._blocks[number] = ShardBlock(self._described[number], shards)
        return self._blocks[number]

    def _gather_block(self, block: ShardBlock, row_numbers: Numbers) -> NDArray[Any]:
        shards = np.searchsorted(block.first_rows, row_numbers, side="right") - 1
        touched = np.flatnonzero(np.bincount(shards))
        if len(touched) <= self._max_open_files:
            addresses = self._addresses(block, shards, touched.tolist(), row_numbers)
            copied = copy_memory(addresses, self._row_bytes)
            return copied.view(self._format.dtype).reshape(len(row_numbers), -1)
        rows = np.empty((len(row_numbers), self._format.width), self._format.dtype)
        first = shards < touched[len(touched) // 2]
        for half in (first, ~first):
            rows[half] = self._gather_block(block, row_numbers[half])
        return rows

    def _addresses(
        self, block: ShardBlock, shards: Numbers, touched: list[int], row_numbers: Numbers
    ) -> Numbers:
        """Address of each row, all verified and mapped, valid until another shard is mapped."""
        local = row_numbers - block.first_rows[shards]
        while True:
            block.bases[touched] = [self._shard(block, number).refresh() for number in touched]
            batches, rest = np.divmod(local, block.batch_rows[shards])
            batches += block.first_batches[shards]
            offsets = block.offsets[batches]
            if offsets.min() != UNVERIFIED:
                rest *= self._row_bytes
                rest += offsets
                rest += block.bases[shards]
                return rest
            # Hashing takes a while, so that every identity is looked at again afterwards.
            for batch in np.unique(batches[offsets == UNVERIFIED]).tolist():
                number = int(np.searchsorted(block.first_batches, batch, side="right")) - 1
                self._shard(block, number).verify(batch - int(block.first_batches[number]))

    def _shard(self, block: ShardBlock, number: int) -> MappedShard:
        """The shard, opened on first use, and now the most recently used one."""
        shard = block.shards[number]
        if shard is None:
            shard = block.open(number, self._folder, self._format)
        if shard in self._mapped:
            self._mapped.move_to_end(shard)
            return shard
        self._mapped[shard] = None
        if len(self._mapped) > self._max_open_files:
            self._mapped.popitem(last=False)[0].file.close()
        return shard
