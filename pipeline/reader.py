"""Row numbers -> rows: a gather from verified, memory-mapped shards in one copy.

Stands between the order of a stream and its batches. A row number leads over the table's block and
the shard to a record batch and, once that is verified, to an address; then NumPy copies all rows
at once, whatever shards and data sets they are in.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.mapped_shards import UNVERIFIED, MappedShard, Numbers, ShardBlock, copy_memory
from pipeline.shard_formats.arrow_shards import origin_of
from pipeline.table import ShardTable
from schemas.manifest import ShardEntry, TableBlock
from schemas.samples import RowFormat


class RowReader:
    """The rows of one split by row number; nothing is copied that was not verified.

    A record batch is hashed when it is first touched. The identity of every touched shard is
    checked again in each call, before its rows are copied; a file changed since is verified anew.
    Outside the promise: what happens to a file between that check and the copy, about a millisecond
    (changed bytes go unseen, a truncation ends the process), and changes that leave its size and
    times as they were, such as one within the clock tick in which it was opened. At most
    `max_open_files` shards are mapped at once; one that is mapped again unchanged is not hashed
    again. `CorruptDataError` names a shard that is missing, truncated or damaged. Not thread-safe.
    """

    def __init__(
        self,
        folder: Path,
        row_format: RowFormat,
        table: ShardTable,
        blocks: Sequence[TableBlock],
        max_open_files: int,
    ) -> None:
        self._folder, self.row_format, self._table = folder, row_format, table
        self._row_bytes = row_format.width * np.dtype(row_format.dtype).itemsize
        self._described = blocks
        self._first_rows = np.array([block.first_row for block in blocks], np.int64)
        self._blocks: dict[int, ShardBlock] = {}
        self._mapped: OrderedDict[MappedShard, None] = OrderedDict()
        self._max_open_files = max_open_files
        self.num_rows = sum(block.rows for block in blocks)
        self.num_verified = 0
        """Record batches hashed so far, by this reader."""

    def gather(self, row_numbers: Numbers) -> NDArray[Any]:
        """Copies of the rows `row_numbers` (n,), each in [0, num_rows), as (n, width)."""
        return gather_mixed([self], np.zeros(len(row_numbers), np.int64), row_numbers)

    def origin(self, row_number: int) -> tuple[ShardEntry, int, NDArray[np.uint32]]:
        """Shard of a row, its index in the shard, and its origin (4, max_samples)."""
        self._check(row_number, row_number)
        block = self._block(self._table.block_of(row_number))
        shard = self._shard(block, int(np.searchsorted(block.first_rows, row_number, "right")) - 1)
        shard.refresh()
        index = row_number - shard.entry.first_row
        batch, place = divmod(index, shard.batch_rows)
        origin = origin_of(shard.file.batch(batch), self.row_format)[:, place]
        return shard.entry, index, origin.copy()

    def locate(self, row_numbers: Numbers) -> Numbers | None:
        """Address of each of the rows (n,), mapped until this reader is used again.

        What is not yet verified is verified, and `num_verified` grows; then call again, since
        hashing takes a while in which a file may change. None when the rows are in more than
        `max_open_files` shards.
        """
        if not len(row_numbers):
            return row_numbers
        self._check(int(row_numbers.min()), int(row_numbers.max()))
        numbers = np.searchsorted(self._first_rows, row_numbers, side="right") - 1
        addresses, room = np.empty_like(row_numbers), self._max_open_files
        for number in np.flatnonzero(np.bincount(numbers)).tolist():
            here = np.flatnonzero(numbers == number)
            block = self._block(number)
            shards = np.searchsorted(block.first_rows, row_numbers[here], side="right") - 1
            touched = np.flatnonzero(np.bincount(shards)).tolist()
            room -= len(touched)
            if room < 0:
                return None
            block.bases[touched] = [self._shard(block, index).refresh() for index in touched]
            addresses[here] = self._addresses(block, shards, row_numbers[here])
        return addresses

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

    def _addresses(self, block: ShardBlock, shards: Numbers, row_numbers: Numbers) -> Numbers:
        batches, rest = np.divmod(row_numbers - block.first_rows[shards], block.batch_rows[shards])
        batches += block.first_batches[shards]
        offsets = block.offsets[batches]
        if offsets.min() == UNVERIFIED:
            for batch in np.unique(batches[offsets == UNVERIFIED]).tolist():
                number = int(np.searchsorted(block.first_batches, batch, side="right")) - 1
                self._shard(block, number).verify(batch - int(block.first_batches[number]))
                self.num_verified += 1
        rest *= self._row_bytes
        rest += offsets
        rest += block.bases[shards]
        return rest

    def _shard(self, block: ShardBlock, number: int) -> MappedShard:
        """The shard, opened on first use, and now the most recently used one."""
        shard = block.shards[number]
        if shard is None:
            shard = block.open(number, self._folder, self.row_format)
        if shard in self._mapped:
            self._mapped.move_to_end(shard)
            return shard
        self._mapped[shard] = None
        if len(self._mapped) > self._max_open_files:
            self._mapped.popitem(last=False)[0].file.close()
        return shard


def gather_mixed(
    readers: Sequence[RowReader], choices: Numbers, row_numbers: Numbers
) -> NDArray[Any]:
    """Copies of rows of one format as (n, width): row i is row `row_numbers[i]` of the reader
    `readers[choices[i]]`."""
    row_format = readers[0].row_format
    rows = np.empty((0, row_format.width), row_format.dtype)
    if not len(row_numbers):
        return rows
    addresses = _locate_all(readers, choices, row_numbers)
    if addresses is not None:
        copied = copy_memory(addresses, row_format.width * rows.itemsize)
        return copied.view(rows.dtype).reshape(len(row_numbers), row_format.width)
    rows = np.empty((len(row_numbers), row_format.width), row_format.dtype)
    for half in np.array_split(np.argsort(row_numbers), 2):
        rows[half] = gather_mixed(readers, choices[half], row_numbers[half])
    return rows


def _locate_all(
    readers: Sequence[RowReader], choices: Numbers, row_numbers: Numbers
) -> Numbers | None:
    """Addresses that are verified, by a pass over all files in which nothing had to be hashed."""
    addresses = np.empty_like(row_numbers)
    while True:
        before = [reader.num_verified for reader in readers]
        for choice, reader in enumerate(readers):
            here = np.flatnonzero(choices == choice)
            located = reader.locate(row_numbers[here])
            if located is None:
                return None
            addresses[here] = located
        if before == [reader.num_verified for reader in readers]:
            return addresses
