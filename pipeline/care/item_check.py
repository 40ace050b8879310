"""One work item of a finished data set, checked: record, shards, documents, quarantine.

What the executors run for `blankstream verify` and for `repair`. Every file of the item is read
once and nothing is changed; what is found wrong is returned.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.care.damage import Damage, DamageList, check_sha256
from pipeline.care.item_files import count_lines, read_documents, read_shard
from pipeline.care.item_laws import ItemLaws
from pipeline.care.record_laws import agrees, read_item_record, shard_of, sums_of
from pipeline.shard_formats.shard_file import shard_suffix
from pipeline.stores.choice import open_store
from pipeline.tools import load_tools
from schemas.errors import DatasetError
from schemas.manifest import SPLITS, ShardEntry, StoredFile
from schemas.names import record_name, shard_name
from schemas.plan import WorkItem
from schemas.record import Counts, ItemRecord, ShardFile, Statistics

T = TypeVar("T")
Hashes = NDArray[np.uint64]
Entries = tuple[ShardEntry, ...]


@dataclass(frozen=True)
class CheckContext:
    """The data set (path or URL) and its recipe; `deep` asks for the laws of every sample and for
    the SHA-256 of every file."""

    dataset: str
    recipe: dict[str, Any]
    deep: bool = False


@dataclass
class ItemCheck:
    """What was read of an item, and what is wrong with it.

    `files` are the names of those that belong to it and are there, `bytes` those of the intact
    ones. `counts` and `statistics` are the record's; `ids` and `texts` the hashes of the documents.
    None stands for what could not be read.
    """

    damage: list[Damage] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    shards: int = 0
    rows: int = 0
    bytes: int = 0
    samples: int = 0
    counts: Counts | None = None
    statistics: Statistics = field(default_factory=dict)
    ids: Hashes | None = None
    texts: Hashes | None = None


def check_item(context: CheckContext, item: WorkItem, entries: Entries | None) -> ItemCheck:
    """Compare the files of `item` with its record, and the record with `entries`.

    `entries` are the item's in the shard table, None where that cannot be read. Damage is returned,
    not raised. The result does not depend on where or when this runs.
    """
    return _Checker(context, item).run(entries)


class _Checker:
    """State of one check."""

    def __init__(self, context: CheckContext, item: WorkItem) -> None:
        self._context, self._item = context, item
        self._store = open_store(context.dataset)
        self._damage = DamageList(self._store)
        self._result = ItemCheck(self._damage.found)
        self._laws: ItemLaws | None = None

    def run(self, entries: Entries | None) -> ItemCheck:
        record = self._record()
        if record is None:
            self._shards(tuple(shard_of(entry) for entry in entries or ()))
            return self._result
        self._compare(record, entries)
        documents = self._documents(record.documents)
        self._shards(record.shards)
        self._sums(record, documents, self._quarantine(record.quarantine))
        return self._result

    def _record(self) -> ItemRecord | None:
        name = record_name(self._item)
        try:
            content = self._store.read(name)
            self._result.files.append(name)
            record = read_item_record(content, self._item, name)
        except FileNotFoundError:
            self._damage.add(name, "missing, expected the record of a finished item")
            return None
        except DatasetError as error:
            self._damage.add(name, str(error).removeprefix(f"{name}: ").rpartition("; ")[0])
            return None
        self._result.bytes += len(content)
        self._result.counts, self._result.statistics = record.counts, record.statistics
        return record

    def _compare(self, record: ItemRecord, entries: Entries | None) -> None:
        """The shard table says of the item what its record says."""
        if entries is not None and not agrees(record, self._item, entries):
            listed, found = (len(shards) for shards in (entries, record.shards))
            what = f"expected the {listed} shards of the shard table, found {found} others"
            self._damage.add(record_name(self._item), what)

    def _shards(self, shards: tuple[ShardFile, ...]) -> None:
        suffix = shard_suffix(self._context.recipe["build"]["shard_format"])
        numbers = dict.fromkeys(SPLITS, 0)
        for shard in shards:
            place = (shard.split, numbers[shard.split], shard.hashes.sha256, suffix)
            numbers[shard.split] += 1
            if shard.path != shard_name(self._item, *place):
                self._damage.add(
                    shard.path, f"expected the name {shard_name(self._item, *place)}, found another"
                )
            self._shard(shard)

    def _shard(self, shard: ShardFile) -> None:
        def read(path: Path) -> None:
            rows = 0
            for arrays in read_shard(path, shard, self._context.recipe):
                if self._laws:
                    samples, broken = self._laws.check_rows(arrays, shard.split, rows)
                    self._result.samples += samples
                    for what in broken:
                        self._damage.add(shard.path, what)
                rows += len(arrays.rows)
            self._result.shards += 1
            self._result.rows += rows

        self._read(shard.stored, read)

    def _documents(self, stored: StoredFile) -> pa.Table | None:
        table = self._read(stored, lambda path: read_documents(path, stored))
        if table is None:
            return None
        self._result.ids = table.column("id_xxh3").to_numpy()
        self._result.texts = table.column("text_xxh3").to_numpy()
        if self._context.deep:
            recipe = json.dumps(self._context.recipe, sort_keys=True)
            self._laws = ItemLaws(load_tools(self._context.dataset, recipe), self._item, table)
            for what in self._laws.check_documents():
                self._damage.add(stored.path, what)
        return table

    def _quarantine(self, stored: StoredFile | None) -> int | None:
        """Lines of the file; None where they are not known."""
        if stored is None:
            return 0
        return self._read(stored, lambda path: count_lines(path, stored))

    def _read(self, stored: StoredFile, read: Callable[[Path], T]) -> T | None:
        def counted(path: Path) -> T:
            self._result.files.append(stored.path)
            found = read(path)
            if self._context.deep:
                check_sha256(path, stored.hashes.sha256)
            self._result.bytes += stored.hashes.bytes
            return found

        return self._damage.read(stored, counted)

    def _sums(self, record: ItemRecord, documents: pa.Table | None, bad: int | None) -> None:
        """The counts of the record are those of its files."""
        for what, expected, found in sums_of(record, documents, bad):
            if expected != found:
                what = f"counts {expected} {what}, its files hold {found}"
                self._damage.add(record_name(self._item), what)
