"""Shard table: from a row's number to its shard, and what the shard's bytes must be.

Written by the build after all records; `shard_reading/shard_table.py` reads it block by block.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.shard_formats.arrow_file import ArrowFileWriter
from schemas.manifest import TABLE_SCHEMA, FileHashes, ShardEntry, TableBlock

BLOCK_SHARDS = 1024
REBUILD_REMEDY = "run `blankstream repair` on the data set"


def write_table(path: Path, entries: Iterable[ShardEntry]) -> tuple[FileHashes, list[TableBlock]]:
    """Write `entries` (ordered by split, then place) as blocks of one split each, as they come."""
    writer = ArrowFileWriter(path, TABLE_SCHEMA)
    described = []
    for block in _cut(entries):
        writer.append(encode_entries(block))
        rows = sum(entry.rows for entry in block)
        described.append(TableBlock(block[0].split, len(block), block[0].first_row, rows))
    return writer.close(), described


def _cut(entries: Iterable[ShardEntry]) -> Iterator[list[ShardEntry]]:
    for _, group in itertools.groupby(entries, key=lambda entry: entry.split):
        while block := list(itertools.islice(group, BLOCK_SHARDS)):
            yield block


def encode_entries(block: Sequence[ShardEntry]) -> pa.RecordBatch:
    """A record batch of the table."""
    rows = [
        {
            "path": entry.path,
            "split": entry.split,
            "item": bytes.fromhex(entry.item),
            "generation": entry.generation,
            "pass": entry.pass_number,
            "slice": entry.slice,
            "rows": entry.rows,
            "first_row": entry.first_row,
            "rows_xxh3": entry.rows_xxh3,
            "bytes": entry.hashes.bytes,
            "sha256": bytes.fromhex(entry.hashes.sha256),
            "offsets": entry.hashes.offsets,
            "xxh3": entry.hashes.xxh3,
        }
        for entry in block
    ]
    return pa.RecordBatch.from_pylist(rows, TABLE_SCHEMA)


def decode_entries(batch: pa.RecordBatch) -> list[ShardEntry]:
    """Inverse of `encode_entries`."""
    plain = (batch.column(name).to_pylist() for name in TABLE_SCHEMA.names[:-2])
    path, split, item, *numbers, size, sha256 = plain
    regions = (_tuples(batch, name) for name in TABLE_SCHEMA.names[-2:])
    hashes = map(FileHashes, size, map(bytes.hex, sha256), *regions)
    return list(map(ShardEntry, path, split, map(bytes.hex, item), *numbers, hashes))


def _tuples(batch: pa.RecordBatch, name: str) -> Iterator[tuple[int, ...]]:
    """The lists of a column as tuples; an object of pyarrow for each number would take seconds."""
    column = batch.column(name)
    edges = column.offsets.to_pylist()
    numbers = column.values.slice(edges[0], edges[-1] - edges[0]).to_pylist()
    return (
        tuple(numbers[start - edges[0] : stop - edges[0]])
        for start, stop in itertools.pairwise(edges)
    )
