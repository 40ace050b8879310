"""The data sets of `datasets.py` in any shard format."""

from dataclasses import asdict, replace
from pathlib import Path

from pipeline.dataset import open_dataset
from pipeline.shard_formats.arrow_shards import pieces
from pipeline.shard_formats.shard_file import open_shard_writer, shard_suffix
from pipeline.shard_reading.shard_places import LocalPlace
from pipeline.shard_reading.shard_table import ShardTable
from pipeline.table import write_table
from schemas.manifest import SPLITS, ShardEntry, StoredFile
from schemas.names import MANIFEST_NAME
from schemas.samples import RowArrays
from tests.datasets import TABLE, Content, random_rows, reseal, write_dataset


def write_dataset_as(folder: Path, shard_format: str, **changes: object) -> Path:
    """`write_dataset`, its shards in `shard_format`; the rows are the same."""
    content = Content(**changes)  # type: ignore[arg-type]
    manifest = open_dataset(write_dataset(folder, content)).manifest
    place = LocalPlace(folder)
    entries = [
        _converted(folder, shard_format, content, entry)
        for split in SPLITS
        for entry in ShardTable(place, manifest, split)
    ]
    table, _ = write_table(folder / TABLE, entries)
    stored = asdict(StoredFile(TABLE, table))
    reseal(folder / MANIFEST_NAME, table=stored, shard_format=shard_format)
    return folder


def _converted(folder: Path, shard_format: str, content: Content, entry: ShardEntry) -> ShardEntry:
    """The shard of the table, written anew beside the old one, which goes."""
    arrays = random_rows(content, entry.split)
    part = slice(entry.first_row, entry.first_row + entry.rows)
    (folder / entry.path).unlink()
    path = str(Path(entry.path).with_suffix(shard_suffix(shard_format)))
    writer = open_shard_writer(
        shard_format, folder / path, content.row_format, content.batch_rows, "k-"
    )
    for piece in pieces(RowArrays(arrays.rows[part], arrays.origin[:, part]), content.batch_rows):
        writer.append(piece)
    return replace(entry, path=path, hashes=writer.close().hashes)
