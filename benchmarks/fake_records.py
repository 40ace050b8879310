"""A store for `scale.py` whose records are made when they are read: ten million need no disk.

Every record is a copy of one that was really built, with names and documents of its own.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.document_table import DOCUMENTS_SCHEMA
from pipeline.shard_formats.arrow_file import write_arrow_file
from pipeline.stores.local import LocalStore
from schemas.config import digest
from schemas.manifest import StoredFile
from schemas.names import RECORDS, SHARDS, SLICES_PER_FOLDER, record_name, shard_name
from schemas.plan import WorkItem
from schemas.record import ItemRecord, ObjectiveStatistics, ShardFile, Statistics

_GROUPS_KNOWN = 2
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that multiples are as different as what they are multiples of."""


class FakeStore(LocalStore):
    """A folder in which records, documents and shards seem to be there for every `known` item.

    Records are copies of `template`, each with `num_documents` documents. `seconds` counts the time
    that making them took, for it is no cost of a build.
    """

    def __init__(self, folder: Path, template: ItemRecord, num_documents: int) -> None:
        super().__init__(folder)
        self._template = replace(template, statistics=_all_lawful(template.statistics))
        self._mapping = json.loads(self._template.to_json())
        del self._mapping["digest"]
        self._num_documents = num_documents
        self._groups: list[dict[str, WorkItem]] = []
        self._tables: dict[str, Path] = {}
        self._documents_bytes = self._write_documents(0, folder / "first.arrow").hashes.bytes
        self.seconds = 0.0

    def known(self, items: Iterator[WorkItem]) -> Iterator[WorkItem]:
        """`items` in table order; those of the same folders are there before the first of them."""
        for _, group in groupby(items, key=lambda item: item.slice.number // SLICES_PER_FOLDER):
            together = list(group)
            names = {record_name(item): item for item in together}
            self._groups = [*self._groups, names][-_GROUPS_KNOWN:]
            yield from together

    def read(self, name: str) -> bytes:
        """A record that is made now, or a file that is there."""
        if not name.startswith(f"{RECORDS}/"):
            return super().read(name)
        started = time.process_time()
        content = self._record(self._item(name))
        self.seconds += time.process_time() - started
        return content

    def files(self, folder: str) -> dict[str, int]:
        """The names that known items have in `folder`, or what is there."""
        if not folder.startswith((RECORDS, SHARDS)):
            return super().files(folder)
        started = time.process_time()
        found: dict[str, int] = {}
        for group in self._groups:
            for item in group.values():
                names = [*self._shards(item), (_documents_name(item), self._documents_bytes)]
                names.append((record_name(item), 1))
                found |= {name: size for name, size in names if name.rpartition("/")[0] == folder}
        self.seconds += time.process_time() - started
        return found

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """A table of documents, which goes with the context, or a file that is there."""
        if name not in self._tables:
            with super().local(name) as path:
                yield path
            return
        path = self._tables.pop(name)
        yield path
        path.unlink()

    def _item(self, name: str) -> WorkItem:
        return next(group[name] for group in self._groups if name in group)

    def _record(self, item: WorkItem) -> bytes:
        """Sealed, though without the line ends of `ItemRecord.to_json`, which take time."""
        number, template = item.slice.number, self._mapping
        path = self.folder / f"{number:08d}.documents"
        name = _documents_name(item)
        stored = asdict(self._write_documents(number, path)) | {"path": name}
        self._tables[name] = path
        pairs = zip(template["shards"], self._shards(item), strict=True)
        shards = [shard | {"path": path} for shard, (path, _) in pairs]
        own = {"item": item.id, "slice": number, "shards": shards, "documents": stored}
        content = template | own
        return json.dumps(content | {"digest": digest(content)}, ensure_ascii=False).encode()

    def _shards(self, item: WorkItem) -> list[tuple[str, int]]:
        return [(_shard_path(item, one), one.hashes.bytes) for one in self._template.shards]

    def _write_documents(self, number: int, path: Path) -> StoredFile:
        """Documents whose ids have hashes that occur nowhere else; every text occurs twice."""
        count = self._num_documents
        first = number * count
        numbers = np.arange(first, first + count, dtype=np.uint64)
        columns = {
            "id": [f"{one:016d}" for one in range(first, first + count)],
            "source": ["input.jsonl"] * count,
            "start": [0] * count,
            "stop": [0] * count,
            "language": [""] * count,
            "split": ["train"] * count,
            "id_xxh3": numbers * _SPREAD,
            "text_xxh3": (numbers >> np.uint64(1)) * _SPREAD,
        }
        batch = pa.RecordBatch.from_pydict(columns, DOCUMENTS_SCHEMA)
        return StoredFile("", write_arrow_file(path, DOCUMENTS_SCHEMA, [batch]))


def _documents_name(item: WorkItem) -> str:
    return f"{RECORDS}/{item.name}-{item.id[:16]}.documents.arrow"


def _shard_path(item: WorkItem, shard: ShardFile) -> str:
    return shard_name(item, shard.split, 0, shard.hashes.sha256, ".arrow")


def _all_lawful(statistics: Statistics) -> Statistics:
    """The same statistics with every law kept to the letter, so that any number of them does."""
    return {
        split: {name: _lawful(found) for name, found in objectives.items()}
        for split, objectives in statistics.items()
    }


def _lawful(found: ObjectiveStatistics) -> ObjectiveStatistics:
    tallies = {name: replace(sums, observed=sums.expected) for name, sums in found.tallies.items()}
    return replace(found, tallies=tallies)
