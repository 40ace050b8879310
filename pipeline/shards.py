"""rows -> shards: one Arrow file of rows, hashed as it is written, verified as it is read.

Stands between packing and the stream. A shard is a sequence of record batches of equal size (the
last may be shorter) whose `row` column is one contiguous array.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from pipeline.arrow_file import write_arrow_file
from schemas.manifest import FileHashes
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat


def write_shard(
    path: Path, row_format: RowFormat, arrays: RowArrays, batch_rows: int
) -> FileHashes:
    """Write `arrays` in record batches of `batch_rows` rows, atomically; returns the hashes."""
    batches = (
        RowArrays(
            arrays.rows[start : start + batch_rows], arrays.origin[:, start : start + batch_rows]
        )
        for start in range(0, len(arrays.rows), batch_rows)
    )
    schema = row_format.arrow_schema()
    return write_arrow_file(path, schema, (record_batch(batch, schema) for batch in batches))


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
    values = batch.column("row").values.to_numpy(zero_copy_only=True)
    return np.asarray(values).reshape(batch.num_rows, row_format.width)


def origin_of(batch: pa.RecordBatch, row_format: RowFormat) -> NDArray[np.uint32]:
    """The origin columns of a record batch as an array (4, rows, max_samples)."""
    shape = (batch.num_rows, row_format.max_samples)
    return np.stack(
        [batch.column(name).values.to_numpy().reshape(shape) for name in ORIGIN_COLUMNS]
    )


def row_digest(row: NDArray[Any], origin: NDArray[np.uint32]) -> int:
    """xxh3 (64 bits) of one row's little-endian bytes, then its origin (4, max_samples)."""
    little = row.astype(row.dtype.newbyteorder("<"), copy=False).tobytes()
    return xxhash.xxh3_64_intdigest(little + origin.astype("<u4", copy=False).tobytes())
