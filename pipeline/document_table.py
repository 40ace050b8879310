"""The documents of one work item, as its record keeps them: where each came from.

Written beside the record; `document` in a row is an index into this table. Lineage from a row back
to its source starts here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from pipeline.readers.reads import AFTER_MENDING, Document
from pipeline.shard_formats.arrow_file import ArrowFileWriter, VerifiedArrowFile
from pipeline.stores.store import Store
from pipeline.table import REBUILD_REMEDY
from schemas.errors import CorruptDataError, InputError
from schemas.manifest import StoredFile
from schemas.names import documents_name
from schemas.plan import WorkItem

Hashes = NDArray[np.uint64]

DOCUMENTS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("start", pa.uint64(), nullable=False),
        pa.field("stop", pa.uint64(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("id_xxh3", pa.uint64(), nullable=False),
        pa.field("text_xxh3", pa.uint64(), nullable=False),
    ]
)
"""`start`, `stop`: half-open bytes of the decompressed input. `language` is empty when unknown.
Repeated ids are found by `id_xxh3`, identical documents by `text_xxh3`, of prompt and text."""

_BATCH_ENTRIES = 1 << 16


class DocumentEntry(NamedTuple):
    """One line of the table, in the order of `DOCUMENTS_SCHEMA`."""

    id: str
    source: str
    start: int
    stop: int
    language: str
    split: str
    id_xxh3: int
    text_xxh3: int


def id_hash(document_id: str) -> int:
    """The hash by which repeated ids are found."""
    return xxhash.xxh3_64_intdigest(document_id.encode())


class DocumentWriter:
    """Writes the entries of one work item as they come, in record batches of `_BATCH_ENTRIES`.

    `stack` removes what is not finished. `count` is the number of entries so far, which the next
    one gets; `text_bytes` those of the texts and prompts added (UTF-8).
    """

    def __init__(self, store: Store, item: WorkItem, stack: ExitStack) -> None:
        folder = documents_name(item, "").rpartition("/")[0]
        self._item, self._draft = item, stack.enter_context(store.draft(folder))
        self._file = ArrowFileWriter(self._draft.path, DOCUMENTS_SCHEMA)
        self._waiting: list[DocumentEntry] = []
        self.count = self.text_bytes = 0

    def add(self, document: Document, split: str) -> None:
        """Append one document."""
        text = f"{document.prompt}\0{document.text}".encode()
        place = (document.path, document.start, document.stop, document.language)
        hashes = (id_hash(document.id), xxhash.xxh3_64_intdigest(text))
        self._waiting.append(DocumentEntry(document.id, *place, split, *hashes))
        self.count += 1
        self.text_bytes += len(text) - 1
        if len(self._waiting) == _BATCH_ENTRIES:
            self._write()

    def finish(self) -> StoredFile:
        """Write what waits and put the file in its place."""
        if self._waiting or not self.count:
            self._write()
        hashes = self._file.close()
        name = documents_name(self._item, hashes.sha256)
        self._draft.commit(name)
        return StoredFile(name, hashes)

    def _write(self) -> None:
        columns = list(zip(*self._waiting, strict=True)) or [()] * len(DOCUMENTS_SCHEMA)
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, DOCUMENTS_SCHEMA, strict=True)
        ]
        self._file.append(pa.RecordBatch.from_arrays(arrays, schema=DOCUMENTS_SCHEMA))
        self._waiting = []


def read_documents_table(store: Store, stored: StoredFile) -> pa.Table:
    """The documents of an item, verified; `CorruptDataError` naming the file otherwise."""
    return pa.Table.from_batches(list(_batches(store, stored)), DOCUMENTS_SCHEMA)


def document_hashes(store: Store, stored: StoredFile) -> Iterator[tuple[Hashes, Hashes]]:
    """`id_xxh3` and `text_xxh3` of the documents of an item, a record batch at a time.

    In order and verified; errors as of `read_documents_table`. The arrays are of the mapped file.
    """
    for batch in _batches(store, stored):
        yield batch.column("id_xxh3").to_numpy(), batch.column("text_xxh3").to_numpy()


def ids_with(store: Store, stored: StoredFile, hashes: Hashes) -> list[str]:
    """The ids of an item, in order, whose `id_xxh3` is among `hashes`, which are in order."""
    found: list[str] = []
    for batch in _batches(store, stored):
        among = batch.column("id_xxh3").to_numpy()
        places = np.minimum(np.searchsorted(hashes, among), len(hashes) - 1)
        found += batch.column("id").take(np.flatnonzero(hashes[places] == among)).to_pylist()
    return found


def _batches(store: Store, stored: StoredFile) -> Iterator[pa.RecordBatch]:
    try:
        with (
            store.local(stored.path) as path,
            closing(_opened(path, stored)) as file,
        ):
            for number in range(file.num_batches):
                yield file.batch(number)
    except FileNotFoundError as error:
        raise CorruptDataError(f"{store.where(stored.path)}: missing; {REBUILD_REMEDY}") from error


def _opened(path: Path, stored: StoredFile) -> VerifiedArrowFile:
    return VerifiedArrowFile(path, stored.hashes, REBUILD_REMEDY, DOCUMENTS_SCHEMA)


def duplicate_error(document_id: str, first: str, second: str) -> InputError:
    """The message for an id that two documents share."""
    return InputError(
        f"document id '{document_id}' occurs twice, at {first} and {second}; ids key the "
        "randomness and must differ: mend them, or use build.duplicate_ids=suffix, and "
        f"{AFTER_MENDING}"
    )
