"""Shard table: from a row's number to its shard, and what the shard's bytes must be.

Written by the build after all records, read by the stream lazily: one block of the table is
verified and decoded when a row of it is first asked for.
"""

import bisect
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path

import pyarrow as pa

from pipeline.shard_formats.arrow_file import ArrowFileWriter, VerifiedArrowFile
from schemas.manifest import TABLE_SCHEMA, FileHashes, Manifest, ShardEntry, TableBlock

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
    for _, group in groupby(entries, key=lambda entry: entry.split):
        while block := list(islice(group, BLOCK_SHARDS)):
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
    return [
        ShardEntry(
            path=row["path"],
            split=row["split"],
            item=row["item"].hex(),
            generation=row["generation"],
            pass_number=row["pass"],
            slice=row["slice"],
            rows=row["rows"],
            first_row=row["first_row"],
            rows_xxh3=row["rows_xxh3"],
            hashes=FileHashes(
                row["bytes"], row["sha256"].hex(), tuple(row["offsets"]), tuple(row["xxh3"])
            ),
        )
        for row in batch.to_pylist()
    ]


class ShardTable:
    """The shards of one split, in order, found by row number; blocks are decoded on first use."""

    def __init__(self, path: Path, manifest: Manifest, split: str) -> None:
        self._file = VerifiedArrowFile(path, manifest.table.hashes, REBUILD_REMEDY)
        self._blocks = [
            (number, block)
            for number, block in enumerate(manifest.table_blocks)
            if block.split == split
        ]
        self._first_rows = [block.first_row for _, block in self._blocks]
        self._decoded: dict[int, list[ShardEntry]] = {}

    def block_of(self, row: int) -> int:
        """Index of the block that holds row number `row` of the split."""
        return bisect.bisect_right(self._first_rows, row) - 1

    def shards(self, block: int) -> list[ShardEntry]:
        """The shards of block `block`, verified."""
        if block not in self._decoded:
            self._decoded[block] = decode_entries(self._file.batch(self._blocks[block][0]))
        return self._decoded[block]

    def __iter__(self) -> Iterator[ShardEntry]:
        for block in range(len(self._blocks)):
            yield from self.shards(block)

    def close(self) -> None:
        """Release the file."""
        self._file.close()
