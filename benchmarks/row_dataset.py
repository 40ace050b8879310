"""A finished data set of given rows, as a build would leave it: for benchmarks that only read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.shard_formats.arrow_shards import write_shard
from pipeline.table import write_table
from schemas.build_config import BuildConfig
from schemas.manifest import (
    HELDOUT,
    TRAIN,
    FileHashes,
    Manifest,
    ShardEntry,
    StoredFile,
    TableBlock,
)
from schemas.names import MANIFEST_NAME
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat
from schemas.storage import commit_text

TABLE = "shards-0.arrow"


def write_rows(folder: Path, row_format: RowFormat, parts: Iterable[NDArray[Any]]) -> None:
    """A data set in `folder`, which is made: one plain Arrow shard for each part (n, width)."""
    folder.mkdir(parents=True)
    (folder / "shards").mkdir()
    entries, first_row, batch_rows = [], 0, BuildConfig().batch_rows(row_format)
    for number, rows in enumerate(parts):
        path = f"shards/{number:05d}.arrow"
        origin = np.zeros((len(ORIGIN_COLUMNS), len(rows), row_format.max_samples), np.uint32)
        hashes = write_shard(folder / path, row_format, RowArrays(rows, origin), batch_rows)
        entries.append(entry_of(path, number, first_row, len(rows), hashes))
        first_row += len(rows)
    table, blocks = write_table(folder / TABLE, entries)
    write_manifest(folder, row_format, table, blocks)


def entry_of(path: str, number: int, first_row: int, rows: int, hashes: FileHashes) -> ShardEntry:
    """Shard `number` of the training split."""
    return ShardEntry(path, TRAIN, f"{number:064x}", 0, 0, number, rows, first_row, 0, hashes)


def write_manifest(
    folder: Path, row_format: RowFormat, table: FileHashes, blocks: list[TableBlock]
) -> None:
    """The manifest of a data set that has training rows only."""
    manifest = Manifest(
        version=0,
        recipe_digest="recipe",
        plan_digest="plan",
        content_digest="content",
        rows={TRAIN: sum(block.rows for block in blocks), HELDOUT: 0},
        row_format=row_format,
        shard_format="arrow",
        tokenizer={"model_sha256": "tokenizer", "vocab_size": 1000},
        table=StoredFile(TABLE, table),
        table_blocks=tuple(blocks),
        counts={},
        statistics={},
    )
    commit_text(folder / MANIFEST_NAME, manifest.to_json())
