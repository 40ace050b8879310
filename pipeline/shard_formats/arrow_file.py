"""Arrow files that are hashed when written and verified when read, compressed or not.

Stands below `arrow_shards.py`, `table.py` and the documents of a record. Every byte of a file
belongs to one region (schemas/manifest.py, `FileHashes`): hashes are of the bytes as stored.
"""

import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import xxhash

from pipeline.shard_formats.arrow_messages import MAX_BATCH_BYTES, decompressed_bytes
from pipeline.shard_formats.verified_file import VerifiedFile
from schemas.errors import BlankstreamError
from schemas.manifest import FileHashes

_MAGIC_AND_PADDING = 8
_HASH_PIECE_BYTES = 1 << 22
_ZSTD_LEVEL = 1
"""Level 3 takes twice the time for shards that are 2 % larger or smaller, as it happens."""


class ArrowFileWriter:
    """An Arrow IPC file, written batch by batch to `path`, which it replaces.

    `compression` is `lz4` (frames), `zstd`, or empty for none. The bytes are a function of schema,
    batches, compression and the version of pyarrow alone. Whoever writes a file that others may
    read at once writes a draft and commits it (`stores/store.py`).
    """

    def __init__(self, path: Path, schema: pa.Schema, compression: str = "") -> None:
        self._path, self._is_compressed = path, bool(compression)
        self._edges: list[int] = []
        self._sink = pa.OSFile(str(path), "wb")
        options = pa.ipc.IpcWriteOptions(compression=_codec(compression), use_threads=False)
        self._writer = pa.ipc.new_file(self._sink, schema, options=options)

    def append(self, batch: pa.RecordBatch) -> None:
        """Write one record batch of the file's schema.

        `ValueError` for one that is compressed and longer than `MAX_BATCH_BYTES`: it would not be
        read again.
        """
        if self._is_compressed and pa.ipc.get_record_batch_size(batch) > MAX_BATCH_BYTES:
            raise ValueError(
                f"{self._path}: a record batch of {batch.nbytes} bytes, expected at most "
                f"{MAX_BATCH_BYTES} in a compressed file; write smaller ones"
            )
        self._writer.write_batch(batch)
        self._edges.append(self._sink.tell())

    def close(self) -> FileHashes:
        """Finish the file; its size and hashes."""
        self._writer.close()
        self._sink.close()
        return _hash_regions(self._path, self._edges)


def _codec(compression: str) -> pa.Codec | None:
    if not compression:
        return None
    return pa.Codec("zstd", _ZSTD_LEVEL) if compression == "zstd" else pa.Codec(compression)


def write_arrow_file(
    path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> FileHashes:
    """Write `batches` with an `ArrowFileWriter`, not compressed; returns the hashes."""
    writer = ArrowFileWriter(path, schema)
    for batch in batches:
        writer.append(batch)
    return writer.close()


def _hash_regions(path: Path, edges: list[int]) -> FileHashes:
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(_MAGIC_AND_PADDING + 4)
        schema_bytes = int.from_bytes(stream.read(4), "little")
        header = min(_MAGIC_AND_PADDING + 8 + schema_bytes, *(edges or [size]))
        offsets = [0, header, *edges, size] if edges else [0, header, size]
        stream.seek(0)
        whole, regions = hashlib.sha256(), []
        for start, stop in itertools.pairwise(offsets):
            region, left = xxhash.xxh3_64(), stop - start
            while left:
                block = stream.read(min(left, _HASH_PIECE_BYTES))
                whole.update(block)
                region.update(block)
                left -= len(block)
            regions.append(region.intdigest())
    return FileHashes(size, whole.hexdigest(), tuple(offsets), tuple(regions))


class VerifiedArrowFile(VerifiedFile):
    """A memory-mapped Arrow file of which nothing unverified is ever handed out.

    Whatever bytes have the right hashes, a batch is read from its own region alone, is structurally
    valid, and takes at most `MAX_BATCH_BYTES` when it is compressed; where a `schema` is expected,
    it has its fields in their order (metadata aside), in the byte order of this machine, and no
    nulls. Anything else is a `DatasetError`.
    """

    def __init__(
        self,
        path: Path,
        hashes: FileHashes,
        remedy: str,
        schema: pa.Schema | None = None,
        may_vanish: bool = False,
    ) -> None:
        self._expected, self._known_schema = schema, None
        super().__init__(path, hashes, remedy, may_vanish)

    def batch(self, index: int) -> pa.RecordBatch:
        """Record batch `index`, verified on its first touch.

        Zero-copy, unless the file is compressed; then each call decompresses it.
        """
        region = self.region(index)
        try:
            message = pa.ipc.read_message(region)
            self._check_size(index, decompressed_bytes(message))
            batch = pa.ipc.read_record_batch(message, self._schema())
            batch.validate(full=True)
        except (MemoryError, BlankstreamError):
            raise
        except (pa.ArrowException, OSError, EOFError, ValueError) as error:
            raise self.unfit(f"record batch {index} cannot be read ({error})") from error
        if self._expected is not None and any(map(_has_nulls, batch.columns)):
            raise self.unfit(f"record batch {index} has nulls, expected none")
        return batch

    def _schema(self) -> pa.Schema:
        if self._known_schema is None:
            schema = pa.ipc.read_schema(self.header().slice(_MAGIC_AND_PADDING))
            "".join(schema.names)  # an error here, not later, for names that are no UTF-8
            self._check_schema(schema)
            self._known_schema = schema
        return self._known_schema

    def _check_schema(self, schema: pa.Schema) -> None:
        if self._expected is not None and not schema.equals(self._expected):
            found, expected = _told(schema), _told(self._expected)
            what = f"found {found}" if found != expected else "found them in another byte order"
            raise self.unfit(f"expected the columns {expected}, {what}")

    def _check_size(self, index: int, num_bytes: int) -> None:
        if num_bytes > MAX_BATCH_BYTES:
            raise self.unfit(
                f"record batch {index} decompresses to {num_bytes} bytes, expected at most "
                f"{MAX_BATCH_BYTES}"
            )


def _has_nulls(column: pa.Array) -> bool:
    is_list = isinstance(column, (pa.ListArray, pa.FixedSizeListArray))
    return column.null_count > 0 or (is_list and _has_nulls(column.values))


def _told(schema: pa.Schema) -> str:
    fields = (f"{one.name} {one.type}{' or null' * one.nullable}" for one in schema)
    return ", ".join(fields) or "none"
