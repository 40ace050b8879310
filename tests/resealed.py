"""A finished data set that was damaged, or changed by someone who mends every hash above it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.care.item_files import read_shard
from pipeline.care.whole import read_whole
from pipeline.finish import claim_version, make_manifest, publish
from pipeline.plan_tables import PlanReader
from pipeline.records import read_record
from pipeline.shard_formats.shard_file import open_shard_writer, shard_suffix
from pipeline.stores.local import LocalStore
from pipeline.survey import Survey
from schemas.names import record_name, shard_name
from schemas.plan import WorkItem
from schemas.record import ItemRecord
from schemas.samples import RowArrays, RowFormat, row_format_of
from tests.datasets import flip

Change = Callable[[RowArrays, RowFormat], None]

HOWS = ("first", "middle", "last", "truncated", "missing")
"""How `damage` damages: a bit of the first, the middle or the last byte, the second half, all."""

TRAIN_SHARD = "shards/train/pass-0000/00000/0000000{}-00000-*"
RECORD = "records/pass-0000/00000/0000000{}-*[0-9a-f].json"
DOCUMENTS = "records/pass-0000/00000/00000001-*.documents.arrow"


@dataclass
class Resealed:
    """The data set in `folder`, of one version."""

    folder: Path

    def __post_init__(self) -> None:
        self.store = LocalStore(self.folder)
        self.whole = read_whole(self.store)
        self.recipe = self.whole.plan.recipe

    def items(self) -> list[WorkItem]:
        """All of them, in table order."""
        with PlanReader(self.store, self.whole.plan) as reader:
            return list(reader.items())

    def record(self, item: WorkItem) -> ItemRecord:
        """That of a finished item."""
        record = read_record(self.store, item)
        assert record
        return record

    def change_rows(self, item: WorkItem, change: Change) -> None:
        """Let `change` write into the rows of the first batch of the item's first shard."""
        record, row_format = self.record(item), row_format_of(self.recipe)
        shard = record.shards[0]
        batches = [
            RowArrays(arrays.rows.copy(), arrays.origin.copy())
            for arrays in read_shard(self.folder / shard.path, shard, self.recipe)
        ]
        change(batches[0], row_format)
        shard_format = self.recipe["build"]["shard_format"]
        rows = len(batches[0].rows)
        path = self.folder / "new"
        prefix = f"{item.pass_number:04d}-{item.slice.number:08d}-00000-"
        writer = open_shard_writer(shard_format, path, row_format, rows, prefix)
        for arrays in batches:
            writer.append(arrays)
        written = writer.close()
        place = (shard.split, 0, written.hashes.sha256, shard_suffix(shard_format))
        name = shard_name(item, *place)
        (self.folder / shard.path).unlink()
        shutil.move(path, self.folder / name)
        new = replace(shard, path=name, hashes=written.hashes, rows_xxh3=written.rows_xxh3)
        self.write_record(item, replace(record, shards=(new, *record.shards[1:])))

    def write_record(self, item: WorkItem, record: ItemRecord) -> None:
        """Put a record in the place of the item's."""
        self.store.replace(record_name(item), record.to_json().encode())

    def seal(self) -> None:
        """Write table and manifest anew, as a build would of what is there."""
        assert self.whole.manifest
        for name in (self.whole.manifest.table.path, "manifests/0000.json"):
            self.store.remove(name)
        with PlanReader(self.store, self.whole.plan) as reader, Survey(self.store) as survey:
            survey.take(reader.items())
            assert not survey.lost
            manifest = make_manifest(self.store, reader, survey, 0, 1.0)
        claim_version(self.store, manifest)
        publish(self.store)


def damage(path: Path, how: str) -> None:
    """One of `HOWS`."""
    size = path.stat().st_size
    if how == "truncated":
        path.write_bytes(path.read_bytes()[: size // 2])
    elif how == "missing":
        path.unlink()
    else:
        flip(path, {"first": 0, "middle": size // 2, "last": size - 1}[how])


def shifted_label(arrays: RowArrays, row_format: RowFormat) -> None:
    """One label becomes the next id."""
    labels = arrays.rows[:, row_format.slices["labels"]]
    row, place = np.argwhere(labels != row_format.ignore)[0]
    labels[row, place] += 1
