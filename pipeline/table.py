"""Shard table: from a row's number to its shard, and what the shard's bytes must be.

Written by the build after all records, read by the stream lazily: one block of the table is
verified and decoded when a row of it is first asked for.
"""

import bisect
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from pipeline.arrow_file import VerifiedArrowFile, write_arrow_file
from schemas.manifest import TABLE_SCHEMA, FileHashes, Manifest, ShardEntry, TableBlock

BLOCK_SHARDS = 1024
REBUILD_REMEDY = "delete it and run the same `blankstream build` again to rebuild it"


def write_table(path: Path, entries: Sequence[ShardEntry]) -> tuple[FileHashes, list[TableBlock]]:
    """Write `entries` (ordered by split, then place) as blocks of one split each."""
    blocks = [list(block) for block in _cut(entries)]
    hashes = write_arrow_file(path, TABLE_SCHEMA, (_encode(block) for block in blocks))
    described = [
        TableBlock(block[0].split, len(block), block[0].first_row, sum(e.rows for e in block))
        for block in blocks
    ]
    return hashes, described


def _cut(entries: Sequence[ShardEntry]) -> Iterator[Sequence[ShardEntry]]:
    for _, group in groupby(entries, key=lambda entry: entry.split):
        same_split = list(group)
        for start in range(0, len(same_split), BLOCK_SHARDS):
            yield same_split[start : start + BLOCK_SHARDS]


def _encode(block: Sequence[ShardEntry]) -> pa.RecordBatch:
    rows = [
        {
            "path": entry.path,
            "split": entry.split,
            "generation": entry.generation,
            "pass": entry.pass_number,
            "slice": entry.slice,
            "rows": entry.rows,
            "first_row": entry.first_row,
            "bytes": entry.hashes.bytes,
            "sha256": bytes.fromhex(entry.hashes.sha256),
            "offsets": entry.hashes.offsets,
            "xxh3": entry.hashes.xxh3,
        }
        for entry in block
    ]
    return pa.RecordBatch.from_pylist(rows, TABLE_SCHEMA)


def _decode(batch: pa.RecordBatch) -> list[ShardEntry]:
    return [
        ShardEntry(
            path=row["path"],
            split=row["split"],
            generation=row["generation"],
            pass_number=row["pass"],
            slice=row["slice"],
            rows=row["rows"],
            first_row=row["first_row"],
            hashes=FileHashes(
                row["bytes"], row["sha256"].hex(), tuple(row["offsets"]), tuple(row["xxh3"])
            ),
        )
        for row in batch.to_pylist()
    ]


class ShardTable:
    """The shards of one split, in order, found by row number; blocks are decoded on first use."""

    def __init__(self, path: Path, manifest: Manifest, split: str) -> None:
        self._file = VerifiedArrowFile(path, manifest.table, REBUILD_REMEDY)
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
            self._decoded[block] = _decode(self._file.batch(self._blocks[block][0]))
        return self._decoded[block]

    def __iter__(self) -> Iterator[ShardEntry]:
        for block in range(len(self._blocks)):
            yield from self.shards(block)

    def close(self) -> None:
        """Release the file."""
        self._file.close()
