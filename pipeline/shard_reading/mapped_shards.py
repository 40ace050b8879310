"""Shards in memory as they are on the disk: from a verified record batch to where its rows are.

Stands beside `decoded_shards.py`, below `open_shards.py`, which keeps a bounded number mapped.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.row_numbers import Numbers
from pipeline.shard_formats.arrow_file import VerifiedArrowFile
from pipeline.shard_formats.arrow_messages import stated_rows
from pipeline.shard_formats.arrow_shards import origin_of
from pipeline.shard_reading.shard_blocks import UNVERIFIED, check_batch_rows
from pipeline.table import REBUILD_REMEDY
from schemas.manifest import ShardEntry
from schemas.samples import RowFormat


class MappedShard:
    """One uncompressed Arrow shard as a `RowShard`; offsets count from the start of its mapping.

    Where the file's `num_mapped` has changed, the address that was given is void and offsets hold;
    where its `version` has, what was hashed, and with it every offset, is void too.
    """

    def __init__(
        self,
        path: Path,
        entry: ShardEntry,
        row_format: RowFormat,
        offsets: Numbers,
        may_vanish: bool = False,
    ) -> None:
        self.path, self.entry = path, entry
        self._format, self._offsets = row_format, offsets
        self._file = VerifiedArrowFile(
            path, entry.hashes, REBUILD_REMEDY, row_format.arrow_schema(), may_vanish
        )
        self._version, self._mapping_given = self._file.version, 0
        self.batch_rows = self._stated_batch_rows()

    def holds(self) -> bool:
        """Whether the file is unchanged, and mapped where `refresh` last said."""
        return self._mapping_given == self._file.num_mapped and self._file.holds()

    def refresh(self) -> int:
        """Address of the mapping; what was verified is forgotten when the file has changed."""
        self._look()
        self._mapping_given = self._file.num_mapped
        return self._file.address

    def verify(self, batch: int) -> None:
        """Verify record batch `batch` and note where its rows begin."""
        self._offsets[batch] = self._batch(batch)[1]

    def origin(self, index: int) -> NDArray[np.uint32]:
        """Origin (4, max_samples) of row `index`, a copy, verified."""
        batch, row = divmod(index, self.batch_rows)
        return origin_of(self._batch(batch)[0], self._format)[:, row].copy()

    def _batch(self, batch: int) -> tuple[pa.RecordBatch, int]:
        """Record batch `batch`, verified, with as many rows as the table says, and the offset of
        its rows, which lie in its region of the file."""
        self._look()
        found = self._file.batch(batch)
        num_rows = min(self.batch_rows, self.entry.rows - batch * self.batch_rows)
        if found.num_rows != num_rows:
            self._check_stated()
            raise self._file.unfit(
                f"record batch {batch} is {found.num_rows} rows, expected {num_rows}"
            )
        offset = found.column("row").values.buffers()[1].address - self._file.address
        start, stop = self.entry.hashes.offsets[batch + 1 : batch + 3]
        if not start <= offset <= stop - num_rows * self._format.row_bytes:
            raise self._file.unfit(
                f"the rows of record batch {batch} do not lie in bytes {start}..{stop} of the file "
                "as they are, expected them not compressed"
            )
        return found, offset

    def _stated_batch_rows(self) -> int:
        """Rows of the first record batch, which is hashed only when rows of it are asked for.

        Until then it is its word, of which `verify` convinces itself: with another number for this
        one, every record batch, also the last, would have another number of rows than expected.
        """
        count = self._file.num_batches
        if count == 1:
            return self.entry.rows
        stated = stated_rows(self._file.unverified_region(0))
        if stated <= 0 or -(-self.entry.rows // stated) != count:
            stated = self._file.batch(0).num_rows
        return check_batch_rows(self.path, self.entry, count, stated)

    def _check_stated(self) -> None:
        """Raise `CorruptDataError` when the first record batch is damaged, or was when opened."""
        found = self._file.batch(0).num_rows
        if self._file.num_batches > 1 and found != self.batch_rows:
            raise self._file.corrupt(
                f"record batch 0 had {self.batch_rows} rows, found {found}: changed while open"
            )

    def _look(self) -> None:
        """Look at the file's identity; offsets in one that has changed are void."""
        self._file.recheck()
        if self._version != self._file.version:
            self._offsets[:] = UNVERIFIED
            self._version = self._file.version

    def close(self) -> None:
        """Release the mapping; what was verified is remembered."""
        self._file.close()
