"""One shard in any format: the one place that knows which format is which.

Stands between packing (`rows.py`) and the files (`arrow_shards.py`, `tar_shards.py`), and below
whatever reads shards batch by batch. The streaming reader maps uncompressed Arrow by itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import xxhash

from pipeline.shard_formats.arrow_messages import MAX_BATCH_BYTES
from pipeline.shard_formats.arrow_shards import ArrowShardWriter, VerifiedArrowShard, row_digests
from pipeline.shard_formats.tar_shards import TarShardWriter, VerifiedTarShard
from schemas.errors import ConfigError, DatasetError
from schemas.manifest import FileHashes
from schemas.samples import ORIGIN_COLUMNS, SHARD_FORMATS, RowArrays, RowFormat

_TAR = "tar"
_COMPRESSIONS = {"arrow": "", "arrow-lz4": "lz4", "arrow-zstd": "zstd"}
_FRAME_BYTES = 1 << 12
"""More than the padding and the description of a record batch of five columns."""


@dataclass(frozen=True)
class ShardSummary:
    """A finished shard. `rows_xxh3` (64 bits) is over the row digests of its rows
    (`arrow_shards.row_digests`): equal for the same rows in every format."""

    hashes: FileHashes
    rows: int
    rows_xxh3: int


class _FormatWriter(Protocol):
    def append(self, arrays: RowArrays) -> None: ...

    def close(self) -> FileHashes: ...


class VerifiedShard(Protocol):
    """A shard that is read batch by batch, and of which nothing unverified is handed out."""

    @property
    def num_batches(self) -> int:
        """Batches in the shard."""

    def batch(self, index: int) -> RowArrays:
        """Rows of batch `index`; `CorruptDataError` unless they are what was written,
        `DatasetError` for what was written as something else."""

    def recheck(self) -> bool:
        """True when all that was verified holds; else the file is opened and verified anew."""

    def close(self) -> None:
        """Release the file; what was verified is remembered."""


class ShardWriter:
    """Rows -> a shard, batch by batch, digesting the rows on the way."""

    def __init__(self, writer: _FormatWriter, batch_rows: int) -> None:
        self._writer, self._batch_rows = writer, batch_rows
        self._rows, self._digest = 0, xxhash.xxh3_64()

    def append(self, arrays: RowArrays) -> None:
        """Write one batch: `batch_rows` rows, or fewer in the last one of the shard."""
        assert self._rows % self._batch_rows == 0, "only the last batch may be short"
        assert 0 < len(arrays.rows) <= self._batch_rows
        self._writer.append(arrays)
        self._digest.update(row_digests(arrays).tobytes())
        self._rows += len(arrays.rows)

    def close(self) -> ShardSummary:
        """Finish the file."""
        return ShardSummary(self._writer.close(), self._rows, self._digest.intdigest())


def shard_suffix(shard_format: str) -> str:
    """What the names of shards end with, with its dot."""
    return ".tar" if known_format(shard_format) == _TAR else ".arrow"


def open_shard_writer(
    shard_format: str, path: Path, row_format: RowFormat, batch_rows: int, key_prefix: str
) -> ShardWriter:
    """A writer to `path`; `key_prefix` begins the names of a tar's members (`TarLayout`).

    `ConfigError` when a compressed record batch would be longer than readers accept.
    """
    if known_format(shard_format) == _TAR:
        return ShardWriter(TarShardWriter(path, row_format, key_prefix), batch_rows)
    compression = _COMPRESSIONS[shard_format]
    row_bytes = row_format.row_bytes + len(ORIGIN_COLUMNS) * row_format.max_samples * 4
    most_rows = (MAX_BATCH_BYTES - _FRAME_BYTES) // row_bytes
    if compression and batch_rows > most_rows:
        raise ConfigError(
            f"build.record_batch_rows is {batch_rows}, expected at most {most_rows} for compressed "
            f"rows of {row_bytes} bytes"
        )
    return ShardWriter(ArrowShardWriter(path, row_format, compression), batch_rows)


def open_shard(
    shard_format: str, path: Path, hashes: FileHashes, row_format: RowFormat, remedy: str
) -> VerifiedShard:
    """A reader of the shard at `path`; `remedy` ends the messages of its errors."""
    if known_format(shard_format, f"{path}: ") == _TAR:
        return VerifiedTarShard(path, hashes, row_format, remedy)
    return VerifiedArrowShard(path, hashes, row_format, remedy)


def known_format(shard_format: str, place: str = "") -> str:
    """`shard_format`; `DatasetError`, which begins with `place`, for one that is none."""
    if shard_format not in SHARD_FORMATS:
        raise DatasetError(
            f"{place}shard format {shard_format!r}, this release knows {', '.join(SHARD_FORMATS)}; "
            "use the release that wrote the data set"
        )
    return shard_format
