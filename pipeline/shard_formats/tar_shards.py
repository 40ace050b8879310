"""rows -> tar shards: one member for each row, hashed as written, verified as read.

Stands beside `arrow_shards.py`; `shard_file.py` chooses. `tar_layout.py` knows the bytes. For
trainers that read with webdataset; the stream of this project reads the same rows from either.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.shard_formats.arrow_shards import pieces
from pipeline.shard_formats.tar_layout import END_OF_ARCHIVE, MAX_MEMBERS, TarLayout
from pipeline.shard_formats.verified_file import VerifiedFile
from schemas.manifest import FileHashes
from schemas.samples import RowArrays, RowFormat

_PIECE_BYTES = 1 << 20
"""What is made and hashed before it is written: it stays in the cache of one core."""


class TarShardWriter:
    """A tar of rows, written to `path`, which it replaces; the bytes are a function of the rows.

    Of its regions the first is empty, one stands for the rows of each call of `append`, and the
    last is the two blocks of zeros that end a tar.
    """

    def __init__(self, path: Path, row_format: RowFormat, key_prefix: str = "") -> None:
        self._layout = TarLayout(row_format, key_prefix)
        count = max(1, _PIECE_BYTES // self._layout.member.itemsize)
        self._members = self._layout.blank(count)
        self._sink = pa.OSFile(str(path), "wb")
        self._rows = 0
        self._whole = hashlib.sha256()
        self._offsets, self._regions = [0, 0], [xxhash.xxh3_64_intdigest(b"")]

    def append(self, arrays: RowArrays) -> None:
        """Write one region of rows; `ConfigError` for numbers that do not fit (`TarLayout`)."""
        if self._rows + len(arrays.rows) > MAX_MEMBERS:
            raise ValueError(f"more than {MAX_MEMBERS} rows in one tar; write several")
        region = xxhash.xxh3_64()
        for piece in pieces(arrays, len(self._members)):
            members = self._members[: len(piece.rows)]
            self._layout.number(members, self._rows)
            self._layout.fill(members, piece)
            self._write(members.view(np.uint8), region)
            self._rows += len(members)
        self._end_region(region)

    def close(self) -> FileHashes:
        """Finish the tar; its size and hashes."""
        region = xxhash.xxh3_64()
        self._write(END_OF_ARCHIVE, region)
        self._end_region(region)
        self._sink.close()
        sha256 = self._whole.hexdigest()
        return FileHashes(self._offsets[-1], sha256, tuple(self._offsets), tuple(self._regions))

    def _write(self, content: Any, region: xxhash.xxh3_64) -> None:
        self._sink.write(content)
        self._whole.update(content)
        region.update(content)

    def _end_region(self, region: xxhash.xxh3_64) -> None:
        self._offsets.append(self._sink.tell())
        self._regions.append(region.intdigest())


class VerifiedTarShard(VerifiedFile):
    """The rows of a tar shard, region by region, of which nothing unverified is handed out."""

    HEADER, BATCH, FOOTER = "start", "batch", "end of archive"

    def __init__(self, path: Path, hashes: FileHashes, row_format: RowFormat, remedy: str) -> None:
        self.layout = TarLayout(row_format)
        super().__init__(path, hashes, remedy)

    def batch(self, index: int) -> RowArrays:
        """Copies of the rows of region `index`, verified on its first touch.

        `DatasetError` for members of another layout.
        """
        region, stride = self.region(index), self.layout.member.itemsize
        if region.size % stride or not region.size:
            raise self.unfit(f"batch {index} is {region.size} bytes, no multiple of {stride}")
        members = np.frombuffer(region, self.layout.member)
        if not self.layout.fits(members[:1]):
            raise self.unfit(f"batch {index} does not begin with a row of the data set's format")
        return self.layout.rows(members)
