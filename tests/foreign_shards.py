"""Data sets whose shards fit all hashes above them and are not what a build writes."""

import struct
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa

from pipeline.dataset import open_dataset
from pipeline.shard_formats.arrow_file import ArrowFileWriter
from pipeline.shard_reading.shard_table import ShardTable
from pipeline.table import write_table
from schemas.manifest import TRAIN, FileHashes, StoredFile
from schemas.names import MANIFEST_NAME
from tests.datasets import TABLE, reseal
from tests.test_verified_file import hashes_of

Change = Callable[[pa.RecordBatch], pa.RecordBatch]
_HEADER, _SCHEMA_FIELD, _ENDIANNESS = 16, 2, 0


def change_batches(folder: Path, compression: str, change: Change) -> None:
    """Every record batch of every training shard is what `change` makes of it."""

    def rewritten(path: Path, _: FileHashes) -> FileHashes:
        batches = [change(batch) for batch in read_batches(path)]
        path.unlink()
        writer = ArrowFileWriter(path, batches[0].schema, compression)
        for batch in batches:
            writer.append(batch)
        return writer.close()

    change_files(folder, rewritten)


def turn_byte_order(folder: Path) -> None:
    """Every training shard says that its numbers are of the other byte order."""

    def turned(path: Path, hashes: FileHashes) -> FileHashes:
        content = bytearray(path.read_bytes())
        root = _HEADER + _number("<I", content, _HEADER)
        schema = _followed(content, _field(content, root, _SCHEMA_FIELD))
        table = schema - _number("<i", content, schema)
        # The field is absent for little-endian: let it be where some other number is, not 0.
        struct.pack_into("<H", content, table + 4 + 2 * _ENDIANNESS, 4)
        path.write_bytes(content)
        return hashes_of(bytes(content), hashes.offsets)

    change_files(folder, turned)


def change_files(folder: Path, change: Callable[[Path, FileHashes], FileHashes]) -> None:
    """`change` rewrites every training shard; table and manifest follow."""
    dataset = open_dataset(folder)
    entries = [
        replace(entry, hashes=change(folder / entry.path, entry.hashes))
        for entry in ShardTable(dataset.place, dataset.manifest, TRAIN)
    ]
    table, _ = write_table(folder / TABLE, entries)
    reseal(folder / MANIFEST_NAME, table=asdict(StoredFile(TABLE, table)))


def read_batches(path: Path) -> list[pa.RecordBatch]:
    """The record batches of an Arrow file, in memory."""
    file = pa.ipc.open_file(pa.BufferReader(path.read_bytes()))
    return [file.get_batch(number) for number in range(file.num_record_batches)]


def _field(content: bytearray, table: int, number: int) -> int:
    return table + _number("<H", content, table - _number("<i", content, table) + 4 + 2 * number)


def _followed(content: bytearray, place: int) -> int:
    return place + _number("<I", content, place)


def _number(form: str, content: bytearray, place: int) -> int:
    return int(struct.unpack_from(form, content, place)[0])
