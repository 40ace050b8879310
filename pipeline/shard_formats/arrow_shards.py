"""rows -> shards: Arrow files of rows, hashed as they are written, verified as they are read.

Stands between packing and the stream, beside `tar_shards.py`; `shard_file.py` chooses. A shard is a
sequence of record batches of equal size (the last may be shorter) whose `row` column is one
contiguous array.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from pipeline.shard_formats.arrow_file import ArrowFileWriter, VerifiedArrowFile
from pipeline.shard_formats.arrow_values import values_of
from schemas.manifest import FileHashes
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat

_PIECE_BYTES = 1 << 18
"""What is copied before it is hashed: it stays in the cache of one core."""


class ArrowShardWriter:
    """Record batches of rows, one for each call of `append`; see `ArrowFileWriter`."""

    def __init__(self, path: Path, row_format: RowFormat, compression: str = "") -> None:
        self._schema = row_format.arrow_schema()
        self._file = ArrowFileWriter(path, self._schema, compression)

    def append(self, arrays: RowArrays) -> None:
        """Write one record batch."""
        self._file.append(record_batch(arrays, self._schema))

    def close(self) -> FileHashes:
        """Finish the file; its size and hashes."""
        return self._file.close()


class VerifiedArrowShard:
    """The rows of an Arrow shard, record batch by record batch; see `VerifiedArrowFile`."""

    def __init__(self, path: Path, hashes: FileHashes, row_format: RowFormat, remedy: str) -> None:
        self._format = row_format
        self._file = VerifiedArrowFile(path, hashes, remedy, row_format.arrow_schema())

    @property
    def num_batches(self) -> int:
        """Record batches in the shard."""
        return self._file.num_batches

    def batch(self, index: int) -> RowArrays:
        """Rows of record batch `index`, read-only, verified on its first touch.

        `DatasetError` for rows of another format.
        """
        batch = self._file.batch(index)
        return RowArrays(rows_of(batch, self._format), origin_of(batch, self._format))

    def recheck(self) -> bool:
        """True when all that was verified holds; else the file is opened and verified anew."""
        return self._file.recheck()

    def close(self) -> None:
        """Release the mapping; what was verified is remembered."""
        self._file.close()


def write_shard(
    path: Path, row_format: RowFormat, arrays: RowArrays, batch_rows: int
) -> FileHashes:
    """Write `arrays` in record batches of `batch_rows` rows, not compressed; their hashes."""
    writer = ArrowShardWriter(path, row_format)
    for batch in pieces(arrays, batch_rows):
        writer.append(batch)
    return writer.close()


def pieces(arrays: RowArrays, size: int) -> Iterator[RowArrays]:
    """Views of `size` rows each, the last one perhaps of fewer."""
    for start in range(0, len(arrays.rows), size):
        part = slice(start, start + size)
        yield RowArrays(arrays.rows[part], arrays.origin[:, part])


def record_batch(arrays: RowArrays, schema: pa.Schema) -> pa.RecordBatch:
    """`arrays` as one record batch of the shard schema `schema`."""
    columns = [
        pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(part).reshape(-1)), type=field.type
        )
        for part, field in zip([arrays.rows, *arrays.origin], schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def rows_of(batch: pa.RecordBatch, row_format: RowFormat) -> NDArray[Any]:
    """The rows of a record batch as a read-only array (rows, width), without a copy."""
    return values_of(batch.column("row").values).reshape(batch.num_rows, row_format.width)


def origin_of(batch: pa.RecordBatch, row_format: RowFormat) -> NDArray[np.uint32]:
    """The origin columns of a record batch as an array (4, rows, max_samples)."""
    shape = (batch.num_rows, row_format.max_samples)
    return np.stack(
        [values_of(batch.column(name).values).reshape(shape) for name in ORIGIN_COLUMNS]
    )


def row_digest(row: NDArray[Any], origin: NDArray[np.uint32]) -> int:
    """xxh3 (64 bits) of one row's little-endian bytes, then its origin (4, max_samples)."""
    little = row.astype(row.dtype.newbyteorder("<"), copy=False).tobytes()
    return xxhash.xxh3_64_intdigest(little + origin.astype("<u4", copy=False).tobytes())


def row_digests(arrays: RowArrays) -> NDArray[np.uint64]:
    """`row_digest` of every row (n,), little-endian."""
    digests = np.empty(len(arrays.rows), "<u8")
    count = max(1, _PIECE_BYTES // max(1, arrays.rows[:1].nbytes))
    done = 0
    for piece in pieces(arrays, count):
        bytes_ = _joined_bytes(piece)
        view, size = bytes_.reshape(-1).data, bytes_.shape[1]
        digests[done : done + len(bytes_)] = [
            xxhash.xxh3_64_intdigest(view[start : start + size])
            for start in range(0, bytes_.size, size)
        ]
        done += len(bytes_)
    return digests


def _joined_bytes(arrays: RowArrays) -> NDArray[np.uint8]:
    """What `row_digest` hashes of each row, as an array (n, bytes)."""
    little = arrays.rows.dtype.newbyteorder("<")
    origin = arrays.origin.transpose(1, 0, 2).reshape(len(arrays.rows), -1)
    return np.concatenate(
        [
            np.ascontiguousarray(arrays.rows, little).view(np.uint8),
            np.ascontiguousarray(origin, "<u4").view(np.uint8),
        ],
        axis=1,
    )
