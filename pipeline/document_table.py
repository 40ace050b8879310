"""The documents of one work item, as its record keeps them: where each came from.

Written beside the record; `document` in a row is an index into this table. Lineage from a row back
to its source starts here.
"""

from pathlib import Path
from typing import Any, NamedTuple, Self

import pyarrow as pa
import xxhash

from pipeline.arrow_file import ArrowFileWriter, VerifiedArrowFile
from pipeline.readers.reads import Document
from pipeline.table import REBUILD_REMEDY
from schemas.errors import InputError
from schemas.manifest import FileHashes

DOCUMENTS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("start", pa.uint64(), nullable=False),
        pa.field("stop", pa.uint64(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("xxh3", pa.uint64(), nullable=False),
    ]
)
"""`start`, `stop`: half-open bytes of the decompressed input. `language` is empty when unknown;
`xxh3` is the hash of the prompt and the text, by which identical documents are found."""

_BATCH_ENTRIES = 1 << 16


class DocumentEntry(NamedTuple):
    """One line of the table, in the order of `DOCUMENTS_SCHEMA`."""

    id: str
    source: str
    start: int
    stop: int
    language: str
    split: str
    xxh3: int

    @classmethod
    def of(cls, document: Document, split: str) -> Self:
        """What the table keeps of `document`."""
        text = f"{document.prompt}\0{document.text}".encode()
        return cls(
            document.id,
            document.path,
            document.start,
            document.stop,
            document.language,
            split,
            xxhash.xxh3_64_intdigest(text),
        )


class DocumentWriter:
    """Writes the entries of one work item as they come, in record batches of `_BATCH_ENTRIES`.

    A context manager: the file appears when its block ends well; `finish` ends it early and
    returns the file's hashes.
    """

    def __init__(self, path: Path) -> None:
        self._file = ArrowFileWriter(path, DOCUMENTS_SCHEMA)
        self._waiting: list[DocumentEntry] = []
        self._is_open = False
        self.count = 0
        """Entries so far: the number that the next one gets."""

    def __enter__(self) -> Self:
        self._file.__enter__()
        self._is_open = True
        return self

    def __exit__(self, *error: Any) -> None:
        if self._is_open:
            self._is_open = False
            self._file.__exit__(*error)

    def add(self, entry: DocumentEntry) -> None:
        """Append one entry."""
        self._waiting.append(entry)
        self.count += 1
        if len(self._waiting) == _BATCH_ENTRIES:
            self._write()

    def finish(self) -> FileHashes:
        """Write what waits and close the file."""
        if self._waiting or not self.count:
            self._write()
        self.__exit__(None, None, None)
        assert self._file.hashes is not None
        return self._file.hashes

    def _write(self) -> None:
        columns = list(zip(*self._waiting, strict=True)) or [()] * len(DOCUMENTS_SCHEMA)
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, DOCUMENTS_SCHEMA, strict=True)
        ]
        self._file.append(pa.RecordBatch.from_arrays(arrays, schema=DOCUMENTS_SCHEMA))
        self._waiting = []


def read_documents_table(path: Path, hashes: FileHashes) -> pa.Table:
    """The table at `path`, verified; `CorruptDataError` naming it when it is damaged."""
    file = VerifiedArrowFile(path, hashes, REBUILD_REMEDY)
    try:
        batches = [file.batch(number) for number in range(file.num_batches)]
        return pa.Table.from_batches(batches, DOCUMENTS_SCHEMA)
    finally:
        file.close()


def duplicate_error(document_id: str, first: str, second: str) -> InputError:
    """The message for an id that two documents share."""
    return InputError(
        f"document id '{document_id}' occurs twice, at {first} and {second}; ids key the "
        "randomness and must differ: mend them, or use build.duplicate_ids=suffix; "
        "either way build into another folder, or delete this unfinished one first"
    )
