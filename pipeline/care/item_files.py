"""The files of a work item, each read whole and held against what its record says of it.

Stands below `item_check.py`. Every function raises `CorruptDataError` that begins with the path,
says what was expected and found, and ends with the remedy.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from pipeline.document_table import DOCUMENTS_SCHEMA
from pipeline.shard_formats.arrow_file import VerifiedArrowFile
from pipeline.shard_formats.arrow_shards import row_digests
from pipeline.shard_formats.shard_file import open_shard, shard_suffix
from pipeline.table import REBUILD_REMEDY
from schemas.errors import CorruptDataError
from schemas.manifest import StoredFile
from schemas.record import ShardFile
from schemas.samples import RowArrays, RowFormat, row_format_of

_PIECE_BYTES = 1 << 20


def corrupt(path: Path, what: str) -> CorruptDataError:
    """The error that says `what` is wrong with a file and how to mend it."""
    return CorruptDataError(f"{path}: {what}; {REBUILD_REMEDY}")


def read_shard(
    path: Path, shard: ShardFile, recipe: dict[str, Any]
) -> Generator[RowArrays, None, None]:
    """The rows of a shard, batch by batch; after the last one it is known whether they are those
    of the record: number, digest, format, every byte of the file."""
    row_format, shard_format = row_format_of(recipe), recipe["build"]["shard_format"]
    rows, digest = 0, xxhash.xxh3_64()
    file = open_shard(shard_format, path, shard.hashes, row_format, REBUILD_REMEDY)
    with closing(file):
        for index in range(file.num_batches):
            arrays = file.batch(index)
            digest.update(row_digests(arrays).tobytes())
            rows += len(arrays.rows)
            yield arrays
    found, expected = (rows, digest.intdigest()), (shard.rows, shard.rows_xxh3)
    if found != expected:
        raise corrupt(path, f"expected rows and their xxh3 {expected}, found {found}")
    if shard_suffix(shard_format) == ".arrow":
        _check_metadata(path, row_format)


def _check_metadata(path: Path, row_format: RowFormat) -> None:
    with pa.memory_map(str(path)) as source:
        found = pa.ipc.open_file(source).schema
    expected = row_format.arrow_schema()
    if not found.equals(expected, check_metadata=True):
        raise corrupt(path, f"expected the row format {expected.metadata}, found {found.metadata}")


def read_documents(path: Path, stored: StoredFile) -> pa.Table:
    """The documents of an item."""
    with closing(VerifiedArrowFile(path, stored.hashes, REBUILD_REMEDY, DOCUMENTS_SCHEMA)) as file:
        batches = [file.batch(number) for number in range(file.num_batches)]
        return pa.Table.from_batches(batches, DOCUMENTS_SCHEMA)


def count_lines(path: Path, stored: StoredFile) -> int:
    """Lines of a quarantine file."""
    found, size, lines = xxhash.xxh3_64(), 0, 0
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            found.update(piece)
            size += len(piece)
            lines += piece.count(b"\n")
    expected = (stored.hashes.bytes, *stored.hashes.xxh3)
    if (size, found.intdigest()) != expected:
        what = (size, found.intdigest())
        raise corrupt(path, f"expected bytes and xxh3 {expected}, found {what}")
    return lines
