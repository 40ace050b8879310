"""Row numbers -> rows: a gather from verified shards, mapped or decoded, in one copy.

Stands between the order of a stream and its batches. A row number leads over the table's block and
the shard to a record batch and, once that is verified, to an address; then NumPy copies all rows
of a batch at once, whatever shards and data sets they are in.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.row_numbers import Numbers
from pipeline.shard_reading.copied_memory import copy_rows
from pipeline.shard_reading.open_shards import OpenShards
from pipeline.shard_reading.shard_blocks import ShardBlock
from pipeline.shard_reading.shard_table import ShardTable
from schemas.manifest import ShardEntry

_MAX_BLOCKS = 256
"""Blocks of the table whose shards are remembered: a quarter of a million shards."""


class _Part(NamedTuple):
    """The rows of a gather that lie in one block: their places in the gather, and of each the
    shard, the record batch, and the row in that batch."""

    block: ShardBlock
    here: Numbers | slice
    shards: Numbers
    batches: Numbers
    rows: Numbers


class RowReader:
    """The rows of one split by row number; nothing is copied that was not verified.

    A record batch is hashed when it is first touched. Shards in the format `arrow` are mapped. The
    identity of every touched one is checked again in each call, before its rows are copied; a file
    changed since is verified anew, one that was mapped before and is unchanged is not. Outside the
    promise: what happens to a file between that check and the copy, some milliseconds (changed
    bytes go unseen, a truncation ends the process), and changes that leave its size and times as
    they were, such as one within the clock tick in which it was opened. Of a copy in a cache whose
    name is gone only size and time of modification are looked at.

    Other formats are decoded, a record batch at a time, into this reader's part of the memory of a
    stream (`pipeline/decoded_memory.py`); what happens to a file afterwards does not reach them.
    Rows in random order are read well only where the record batches that they are in fit there.

    `CorruptDataError` names a damaged shard of which no other copy is to be had. Not thread-safe.
    """

    def __init__(self, table: ShardTable, shards: OpenShards) -> None:
        self._table, self._shards = table, shards
        self.row_format = shards.source.row_format
        self._blocks: OrderedDict[int, ShardBlock] = OrderedDict()
        self.num_rows = sum(block.rows for block in table.blocks)

    @property
    def num_verified(self) -> int:
        """Record batches hashed so far."""
        return self._shards.num_verified

    @property
    def num_decoded_bytes(self) -> int:
        """Memory that decoded record batches take at present."""
        return self._shards.memory.num_bytes

    def gather(self, row_numbers: Numbers) -> NDArray[Any]:
        """Copies of the rows `row_numbers` (n,), each in [0, num_rows), as (n, width)."""
        return gather_mixed([self], np.zeros(len(row_numbers), np.int64), row_numbers)

    def origin(self, row_number: int) -> tuple[ShardEntry, int, NDArray[np.uint32]]:
        """Shard of a row, its index in the shard, and its origin (4, max_samples)."""
        self._check(row_number, row_number)
        block = self._block(self._table.block_of(row_number))
        number = int(np.searchsorted(block.first_rows, row_number, "right")) - 1
        entry = block.columns.entry(number)
        index = row_number - entry.first_row
        return entry, index, self._shards.origin(block, number, index)

    def rows_of(self, block: int) -> Numbers:
        """Rows of each shard of block `block` of the split's table, verified, int64 (shards,)."""
        known = self._blocks.get(block)
        return (self._table.columns(block) if known is None else known.columns).rows

    def ahead(self, shards: Sequence[tuple[int, int]]) -> None:
        """Say which shards will be read next, the soonest first, as (block, shard in the block)."""
        wanted = (self._block(block).columns.stored(number) for block, number in shards)
        self._shards.ahead([self._table.stored, *wanted])

    def stored_bytes(self, shards: Iterable[tuple[int, int]]) -> int:
        """Bytes of the files of shards, each (block, shard in the block), and of their table."""
        files = (self._block(block).columns.stored(number) for block, number in shards)
        return self._table.stored.hashes.bytes + sum(one.hashes.bytes for one in files)

    def locate(self, row_numbers: Numbers) -> Numbers | None:
        """Address of each of the rows (n,), valid until this reader is used again.

        What is not yet verified is verified, and `num_verified` grows; then call again, since
        hashing takes a while in which a file may change. None when the rows are in more shards than
        may be open, or in more record batches than fit into memory; one row always fits.
        """
        if not len(row_numbers):
            return row_numbers
        self._check(int(row_numbers.min()), int(row_numbers.max()))
        parts = self._parts(row_numbers)
        if parts is None or not self._shards.verify([(part.block, part.batches) for part in parts]):
            return None
        row_bytes, addresses = self.row_format.row_bytes, np.empty_like(row_numbers)
        for block, here, shards, batches, rows in parts:
            addresses[here] = block.bases[shards] + block.offsets[batches] + rows * row_bytes
        return addresses

    def close(self) -> None:
        """Release every file and decoded row; the reader may be used again."""
        self._table.close()
        self._shards.close()

    def _check(self, low: int, high: int) -> None:
        """Not an assertion: what lies outside would be copied from memory of others."""
        if low < 0 or high >= self.num_rows:
            raise IndexError(f"row numbers {low}..{high} are not all in [0, {self.num_rows})")

    def _parts(self, row_numbers: Numbers) -> list[_Part] | None:
        """Where the rows are, in shards that were refreshed; None for too many of them, or of
        blocks."""
        groups = _groups(np.searchsorted(self._table.first_rows, row_numbers, side="right") - 1)
        parts, room = [], self._shards.max_open_shards
        if len(groups) > _MAX_BLOCKS:
            return None
        for number, here in groups:
            block, rows = self._block(number), row_numbers[here]
            shards = np.searchsorted(block.first_rows, rows, side="right") - 1
            touched = np.flatnonzero(np.bincount(shards)).tolist()
            room -= len(touched)
            if room < 0:
                return None
            self._shards.refresh(block, touched)
            batches, rest = np.divmod(rows - block.first_rows[shards], block.batch_rows[shards])
            parts.append(_Part(block, here, shards, batches + block.first_batches[shards], rest))
        return parts

    def _block(self, number: int) -> ShardBlock:
        """The block, decoded on first use, and now the most recently used one."""
        block = self._blocks.pop(number, None)
        if block is None:
            block = ShardBlock(self._table.columns(number))
            while len(self._blocks) >= _MAX_BLOCKS:
                self._shards.forget(self._blocks.popitem(last=False)[1])
        self._blocks[number] = block
        return block


def _groups(numbers: Numbers) -> list[tuple[int, Numbers | slice]]:
    """Each value of `numbers` (n,), none negative, and where it is; where all are equal, a slice,
    with which nothing is copied."""
    values = np.flatnonzero(np.bincount(numbers)).tolist()
    if len(values) == 1:
        return [(values[0], slice(None))]
    return [(value, np.flatnonzero(numbers == value)) for value in values]


def gather_mixed(
    readers: Sequence[RowReader], choices: Numbers, row_numbers: Numbers
) -> NDArray[Any]:
    """Copies of rows of one format as (n, width): row i is row `row_numbers[i]` of the reader
    `readers[choices[i]]`."""
    return gather_parts(readers, choices, row_numbers, [len(row_numbers)])[0]


def gather_parts(
    readers: Sequence[RowReader], choices: Numbers, row_numbers: Numbers, ends: Sequence[int]
) -> list[NDArray[Any]]:
    """The same rows as one array for each part, as `copy_rows` cuts them."""
    row_format = readers[0].row_format
    addresses = _locate_all(readers, choices, row_numbers)
    if addresses is not None:
        return copy_rows(addresses, row_format.dtype, row_format.width, ends)
    rows = np.empty((len(row_numbers), row_format.width), row_format.dtype)
    for half in np.array_split(np.argsort(row_numbers), 2):
        rows[half] = gather_mixed(readers, choices[half], row_numbers[half])
    return np.split(rows, ends[:-1])


def _locate_all(
    readers: Sequence[RowReader], choices: Numbers, row_numbers: Numbers
) -> Numbers | None:
    """Addresses that are verified, by a pass over all files in which nothing had to be hashed."""
    addresses = np.empty_like(row_numbers)
    while True:
        before = [reader.num_verified for reader in readers]
        for choice, here in _groups(choices):
            located = readers[choice].locate(row_numbers[here])
            if located is None:
                return None
            addresses[here] = located
        if before == [reader.num_verified for reader in readers]:
            return addresses
