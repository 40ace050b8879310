"""A data set of ten billion rows on little disk: every entry of its shard table names one file.

The table and the manifest are as a build of so many shards leaves them, but for the hash of rows
and the items' numbers, which no reader looks at; the rows of the one shard come again and again.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.row_dataset import TABLE, write_manifest
from pipeline.shard_formats.arrow_file import ArrowFileWriter
from pipeline.shard_formats.arrow_shards import write_shard
from pipeline.table import BLOCK_SHARDS
from schemas.manifest import TABLE_SCHEMA, TRAIN, FileHashes, TableBlock
from schemas.samples import RowArrays, RowFormat

ROW_FORMAT = RowFormat(16, 2, "uint16", ("blank",))
SHARD_ROWS, SHARDS = 3448, 2_900_233
SHARD = "shards/train/pass-0000/000/00012-00000-0123456789abcdef.arrow"
"""A name as long as that of a build."""


def write_wide(folder: Path, shards: int = SHARDS) -> int:
    """A data set of `shards` shards in `folder`, which is made; the number of its rows."""
    (folder / SHARD).parent.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = random.integers(0, 1000, (SHARD_ROWS, ROW_FORMAT.width), dtype=np.uint16)
    origin = np.zeros((4, SHARD_ROWS, ROW_FORMAT.max_samples), np.uint32)
    hashes = write_shard(folder / SHARD, ROW_FORMAT, RowArrays(rows, origin), 1024)
    writer, blocks = ArrowFileWriter(folder / TABLE, TABLE_SCHEMA), []
    equal = equal_columns(hashes)
    for first in range(0, shards, BLOCK_SHARDS):
        count = min(BLOCK_SHARDS, shards - first)
        writer.append(table_block(first, count, equal))
        blocks.append(TableBlock(TRAIN, count, first * SHARD_ROWS, count * SHARD_ROWS))
    write_manifest(folder, ROW_FORMAT, writer.close(), blocks)
    return shards * SHARD_ROWS


def equal_columns(hashes: FileHashes) -> dict[str, pa.Array]:
    """What all entries have in common, for the longest block."""
    values = {
        "path": SHARD,
        "split": TRAIN,
        "item": bytes(32),
        "generation": 0,
        "pass": 0,
        "rows": SHARD_ROWS,
        "rows_xxh3": 0,
        "bytes": hashes.bytes,
        "sha256": bytes.fromhex(hashes.sha256),
        "offsets": list(hashes.offsets),
        "xxh3": list(hashes.xxh3),
    }
    return {
        name: pa.repeat(pa.scalar(value, TABLE_SCHEMA.field(name).type), BLOCK_SHARDS)
        for name, value in values.items()
    }


def table_block(first: int, count: int, equal: dict[str, pa.Array]) -> pa.RecordBatch:
    """Entries of the shards `first` to `first + count`, as `encode_entries` would make them."""
    numbers = np.arange(first, first + count)
    columns = {name: column.slice(0, count) for name, column in equal.items()}
    columns["slice"] = pa.array(numbers, pa.uint32())
    columns["first_row"] = pa.array(numbers * SHARD_ROWS, pa.uint64())
    return pa.RecordBatch.from_arrays([columns[n] for n in TABLE_SCHEMA.names], schema=TABLE_SCHEMA)
