"""The documents of one work item, as its record keeps them: where each came from.

Written beside the record; `document` in a row is an index into this table. Lineage from a row back
to its source starts here.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.arrow_file import VerifiedArrowFile, write_arrow_file
from pipeline.documents import Document
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
    ]
)
"""`start`, `stop`: half-open bytes of the decompressed input. `language` is empty when unknown."""


def write_documents(path: Path, documents: Sequence[tuple[Document, str]]) -> FileHashes:
    """Write (document, split) pairs in their order; returns the file's hashes."""
    rows = [
        {
            "id": document.id,
            "source": document.path,
            "start": document.start,
            "stop": document.stop,
            "language": "",
            "split": split,
        }
        for document, split in documents
    ]
    batch = pa.RecordBatch.from_pylist(rows, DOCUMENTS_SCHEMA)
    return write_arrow_file(path, DOCUMENTS_SCHEMA, [batch])


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
