"""Shards decoded into memory: compressed Arrow and tars, one verified record batch at a time.

Stands beside `mapped_shards.py`, below `open_shards.py`. Rows are copied from here as from a
mapping, at an address.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.row_numbers import Numbers
from pipeline.shard_formats.shard_file import open_shard
from pipeline.shard_reading.shard_blocks import UNVERIFIED, check_batch_rows
from pipeline.table import REBUILD_REMEDY
from schemas.errors import DatasetError
from schemas.manifest import ShardEntry
from schemas.samples import RowArrays, RowFormat

Owner = object
"""A shard, by identity."""


class DecodedBatches:
    """Decoded record batches of many shards, in at most `memory_bytes`, or one where it is longer.

    The least recently used ones make room; their offset is then `UNVERIFIED`.
    """

    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._kept: OrderedDict[tuple[Owner, int], tuple[NDArray[Any], Numbers]] = OrderedDict()
        self.num_bytes = 0
        """What is held at present."""

    def keep(self, owner: Owner, batch: int, rows: NDArray[Any], offsets: Numbers) -> None:
        """Hold `rows`, now the most recently used, and note their address in `offsets`."""
        while self._kept and self.num_bytes + rows.nbytes > self.memory_bytes:
            self._free(*self._kept.popitem(last=False))
        self._kept[owner, batch] = rows, offsets
        self.num_bytes += rows.nbytes
        offsets[batch] = rows.ctypes.data

    def use(self, owner: Owner, batch: int) -> None:
        """Record batch `batch` of `owner`, which is held, is now the most recently used."""
        self._kept.move_to_end((owner, batch))

    def drop(self, owner: Owner) -> None:
        """Hold nothing of `owner`."""
        for key in [key for key in self._kept if key[0] is owner]:
            self._free(key, self._kept.pop(key))

    def clear(self) -> None:
        """Hold nothing."""
        while self._kept:
            self._free(*self._kept.popitem())

    def _free(self, key: tuple[Owner, int], held: tuple[NDArray[Any], Numbers]) -> None:
        rows, offsets = held
        self.num_bytes -= rows.nbytes
        offsets[key[1]] = UNVERIFIED


class DecodedShard:
    """One shard of any format as a `RowShard`; offsets are addresses of decoded rows.

    What was decoded is the reader's own, whatever happens to the file afterwards.
    """

    def __init__(
        self,
        path: Path,
        entry: ShardEntry,
        formats: tuple[str, RowFormat],
        offsets: Numbers,
        memory: DecodedBatches,
    ) -> None:
        self.path, self.entry = path, entry
        (shard_format, self._format), self._offsets, self._memory = formats, offsets, memory
        self._file = open_shard(shard_format, path, entry.hashes, self._format, REBUILD_REMEDY)
        count = self._file.num_batches
        self.batch_rows = entry.rows
        if count > 1:
            first = self._decoded(0).rows
            self.batch_rows = len(first)
        check_batch_rows(path, entry, count, self.batch_rows)
        if count > 1:
            memory.keep(self, 0, first, offsets)

    def holds(self) -> bool:
        """True: decoded rows are no longer in the file."""
        return True

    def refresh(self) -> int:
        """0: offsets are addresses."""
        return 0

    def verify(self, batch: int) -> None:
        """Verify and decode record batch `batch`, unless it is held."""
        if self._offsets[batch] != UNVERIFIED:
            return
        self._memory.keep(self, batch, self._batch(batch).rows, self._offsets)

    def origin(self, index: int) -> NDArray[np.uint32]:
        """Origin (4, max_samples) of row `index`, a copy, verified."""
        batch, row = divmod(index, self.batch_rows)
        return self._batch(batch).origin[:, row].copy()

    def close(self) -> None:
        """Release the file; what was decoded is still there."""
        self._file.close()

    def _batch(self, batch: int) -> RowArrays:
        """Record batch `batch`, verified, with as many rows as the table says."""
        arrays = self._decoded(batch)
        num_rows = min(self.batch_rows, self.entry.rows - batch * self.batch_rows)
        if len(arrays.rows) != num_rows:
            raise DatasetError(
                f"{self.path}: record batch {batch} is {len(arrays.rows)} rows, expected "
                f"{num_rows}; {REBUILD_REMEDY}"
            )
        return arrays

    def _decoded(self, batch: int) -> RowArrays:
        """Record batch `batch` of a file that was the same before and after; `rows` are apart."""
        self._file.recheck()
        while True:
            arrays = self._file.batch(batch)
            start, stop = self.entry.hashes.offsets[batch + 1 : batch + 3]
            if not _is_apart(arrays.rows, stop - start):
                arrays = arrays._replace(rows=arrays.rows.copy())
            if self._file.recheck():
                return arrays


def _is_apart(rows: NDArray[Any], region_bytes: int) -> bool:
    """Whether `rows`, decoded from `region_bytes` of a mapped file, cannot be a part of them: they
    are NumPy's own memory, or too long. Arrow may store a buffer of a compressed file as it is."""
    base: Any = rows
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base.base is None or rows.nbytes > region_bytes
