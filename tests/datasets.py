"""Synthetic data sets for tests: random rows, written by the same writers as a build."""

import itertools
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.shard_formats.arrow_shards import write_shard
from pipeline.table import write_table
from schemas.manifest import SPLITS, TRAIN, Manifest, ShardEntry, StoredFile
from schemas.names import MANIFEST_NAME
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat
from schemas.sealed import seal
from schemas.storage import commit_text

TABLE = "shards-0.arrow"
ROW_FORMAT = RowFormat(16, 2, "uint16", ("blank",))


@dataclass(frozen=True, kw_only=True)
class Content:
    """What to write; the defaults give a few small shards with several record batches each."""

    rows: int = 40
    heldout: int = 0
    shards: int = 3
    batch_rows: int = 5
    row_format: RowFormat = ROW_FORMAT
    tokenizer: str = "a"
    seed: int = 0


def write_dataset(folder: Path, content: Content | None = None, **changes: object) -> Path:
    """Write `content`, or `Content(**changes)`, as a finished data set; returns `folder`."""
    content = content or Content(**changes)  # type: ignore[arg-type]
    rows = dict(zip(SPLITS, (content.rows, content.heldout), strict=True))
    entries = [
        entry
        for split in SPLITS
        if rows[split]
        for entry in _write_split(folder, content, split, random_rows(content, split))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    table, blocks = write_table(folder / TABLE, entries)
    manifest = Manifest(
        version=0,
        recipe_digest="recipe",
        plan_digest="plan",
        content_digest="content",
        rows=rows,
        row_format=content.row_format,
        shard_format="arrow",
        tokenizer={"model_sha256": content.tokenizer, "vocab_size": 1000},
        table=StoredFile(TABLE, table),
        table_blocks=tuple(blocks),
        counts={},
        statistics={},
    )
    commit_text(folder / MANIFEST_NAME, manifest.to_json())
    return folder


def random_rows(content: Content, split: str = TRAIN) -> RowArrays:
    """The rows that `write_dataset` writes; the first number of row r is r modulo 2**16."""
    count = content.rows if split == TRAIN else content.heldout
    rng = np.random.default_rng([content.seed, SPLITS.index(split)])
    row_format = content.row_format
    rows = rng.integers(0, 1000, (count, row_format.width)).astype(row_format.dtype)
    rows[:, 0] = np.arange(count) % 2**16
    shape = (len(ORIGIN_COLUMNS), count, row_format.max_samples)
    return RowArrays(rows, rng.integers(0, 1000, shape).astype(np.uint32))


def _write_split(folder: Path, content: Content, split: str, arrays: RowArrays) -> list[ShardEntry]:
    edges = np.linspace(0, len(arrays.rows), min(content.shards, len(arrays.rows)) + 1).astype(int)
    entries = []
    for number, (start, stop) in enumerate(itertools.pairwise(edges.tolist())):
        path = f"shards/{split}/{number:05d}.arrow"
        part = RowArrays(arrays.rows[start:stop], arrays.origin[:, start:stop])
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        hashes = write_shard(folder / path, content.row_format, part, content.batch_rows)
        place = (f"{number:064x}", 0, 0, number, stop - start, start, 0)
        entries.append(ShardEntry(path, split, *place, hashes))
    return entries


def overwrite(path: Path, position: int, content: bytes) -> None:
    """Change bytes in place, as a later clock tick would find it (ticks last some milliseconds)."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(position)
        stream.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10_000_000))


def flip(path: Path, position: int) -> None:
    """Flip one bit of the byte at `position`, in place."""
    with path.open("rb") as stream:
        stream.seek(position)
        (byte,) = stream.read(1)
    overwrite(path, position, bytes([byte ^ 1 << position % 8]))


def reseal(path: Path, **changes: object) -> None:
    """Change keys of a sealed JSON file as someone would who also mends its digest."""
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    del content["digest"]
    path.write_text(seal(content), encoding="utf-8")
