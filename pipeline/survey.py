"""records -> sums, shard entries and document hashes of a whole data set, in one pass.

Stands before `finish.py`. It reads the records in table order, holds a bounded number of them, and
lists the items that must be built again because a file is missing or a record damaged.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import pyarrow as pa

from pipeline.document_table import document_hashes
from pipeline.laws.statistics import total
from pipeline.ordered_map import ordered_map
from pipeline.quarantine import first_cases
from pipeline.readers.reads import SHOWN_CASES, BadInput
from pipeline.records import FolderListing, missing_files, read_record
from pipeline.shard_formats.arrow_file import ArrowFileWriter
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from pipeline.table import BLOCK_SHARDS, decode_entries, encode_entries
from pipeline.unique import HashSpill
from schemas.manifest import SPLITS, TABLE_SCHEMA, ShardEntry, StoredFile
from schemas.plan import WorkItem
from schemas.record import ItemRecord, ShardFile, Statistics
from schemas.temporary import temporary_folder

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 256
_THREADS = 32
"""Records read at once from object storage, where each takes a round trip."""

LOST_KEPT = 10_000
"""Lost items that are named at most; once they are built again, the survey names the next."""


class Survey:
    """What all records say together; a context manager that holds temporary files.

    `lost` are the first `LOST_KEPT` items without a record or with a missing file, `num_lost` is
    the number of all of them; with any, the rest is incomplete. `ids` and `texts` hold the hashes
    of every document's id and text. Memory does not depend on the number of items or documents.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.counts: Counter[str] = Counter()
        self.statistics: Statistics = {}
        self.rows = dict.fromkeys(SPLITS, 0)
        self.lost: list[WorkItem] = []
        self.num_lost = 0
        self.bad_cases: list[BadInput] = []
        self._content = {split: hashlib.sha256() for split in SPLITS}
        self._adding = threading.Lock()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = stack.enter_context(temporary_folder())
            self._spools = {split: _Spool(Path(folder) / split) for split in SPLITS}
            self.ids = stack.enter_context(HashSpill())
            self.texts = stack.enter_context(HashSpill())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def take(self, items: Iterable[WorkItem]) -> None:
        """Read the records of `items`, which come in table order."""
        listing = FolderListing(self._store)
        pairs = self._map(lambda item: (item, read_record(self._store, item)), items)
        while batch := list(islice(pairs, _AT_ONCE)):
            found = []
            for item, record in batch:
                if record is None or missing_files(listing, record):
                    self._lose(item)
                else:
                    found.append((item, record))
            self._add(found)

    def entries(self, splits: Sequence[str] = SPLITS) -> Iterator[ShardEntry]:
        """Every shard of `splits` in table order: split, generation, pass, slice."""
        for split in splits:
            yield from self._spools[split].entries()

    @property
    def content_digest(self) -> str:
        """Hex SHA-256 over the digests of all rows; the same in every shard format."""
        whole = hashlib.sha256()
        for split in SPLITS:
            whole.update(self._content[split].digest())
        return whole.hexdigest()

    def _add(self, found: list[tuple[WorkItem, ItemRecord]]) -> None:
        if not found:
            return
        parts = [record.statistics for _, record in found]
        self.statistics = total([self.statistics, *parts] if self.statistics else parts)
        first = [record.documents for item, record in found if item.pass_number == 0]
        for _ in self._map(self._add_documents, first):
            pass
        for item, record in found:
            self._count(item, record)
            for shard in record.shards:
                self._place(item, shard)

    def _map(self, function: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
        """`map`; on object storage, where each read takes a round trip, several at once."""
        return ordered_map(function, things, reading_threads(self._store))

    def _lose(self, item: WorkItem) -> None:
        self.num_lost += 1
        if len(self.lost) < LOST_KEPT:
            self.lost.append(item)

    def _add_documents(self, stored: StoredFile) -> None:
        """Add the hashes of a table batch by batch, in whatever order threads come to it."""
        for ids, texts in document_hashes(self._store, stored):
            with self._adding:
                self.ids.add(ids)
                self.texts.add(texts)

    def _count(self, item: WorkItem, record: ItemRecord) -> None:
        """Documents and bad input are counted in pass 0, where all are read."""
        for name, count in record.counts.items():
            once = name.startswith(("documents", "bad."))
            self.counts[name] += 0 if once and item.pass_number else count
        if record.quarantine and len(self.bad_cases) < SHOWN_CASES:
            self.bad_cases += first_cases(self._store, record.quarantine)

    def _place(self, item: WorkItem, shard: ShardFile) -> None:
        split = shard.split
        entry = ShardEntry(
            path=shard.path,
            split=split,
            item=item.id,
            generation=item.generation,
            pass_number=item.pass_number,
            slice=item.slice.number,
            rows=shard.rows,
            first_row=self.rows[split],
            rows_xxh3=shard.rows_xxh3,
            hashes=shard.hashes,
        )
        self.rows[split] += shard.rows
        self._content[split].update(shard.rows_xxh3.to_bytes(8, "little"))
        self._spools[split].add(entry)


def reading_threads(store: Store) -> int:
    """How many records to read at once, for `ordered_map`."""
    return 1 if isinstance(store, LocalStore) else _THREADS


class _Spool:
    """Shard entries of one split in a temporary file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = ArrowFileWriter(path, TABLE_SCHEMA)
        self._waiting: list[ShardEntry] = []
        self._is_open = True

    def add(self, entry: ShardEntry) -> None:
        self._waiting.append(entry)
        if len(self._waiting) == BLOCK_SHARDS:
            self._flush()

    def entries(self) -> Iterator[ShardEntry]:
        """Those added, in their order; none may be added afterwards."""
        if self._is_open:
            self._is_open = False
            self._flush()
            self._writer.close()
        with pa.memory_map(str(self._path)) as source:
            reader = pa.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                yield from decode_entries(reader.get_batch(number))

    def _flush(self) -> None:
        if self._waiting:
            self._writer.append(encode_entries(self._waiting))
            self._waiting = []
