"""Arrow files that are hashed when written and verified when read.

Stands below `shards.py`, `table.py` and the documents of a record. Every byte of a file belongs to
one region (schemas/manifest.py, `FileHashes`), and no region is used before its hash was checked.
"""

import contextlib
import errno
import hashlib
import itertools
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import xxhash

from schemas.errors import BlankstreamError, CorruptDataError
from schemas.manifest import FileHashes
from schemas.storage import committed

_MAGIC_AND_PADDING = 8
_HASH_PIECE_BYTES = 1 << 22
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class ArrowFileWriter:
    """An uncompressed Arrow IPC file, written batch by batch; it appears when it is finished.

    The bytes are a function of the schema and the batches alone. As a context manager it leaves
    nothing behind when its block fails; `hashes` is set once the block has succeeded.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._edges: list[int] = []
        self.hashes: FileHashes | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._temporary = stack.enter_context(committed(self._path))
            stack.callback(self._finish)
            self._sink = pa.OSFile(str(self._temporary), "wb")
            self._writer = pa.ipc.new_file(self._sink, self._schema)
            self._stack = stack.pop_all()
        return self

    def append(self, batch: pa.RecordBatch) -> None:
        """Write one record batch of the file's schema."""
        self._writer.write_batch(batch)
        self._edges.append(self._sink.tell())

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _finish(self) -> None:
        self._writer.close()
        self._sink.close()
        self.hashes = _hash_regions(self._temporary, self._edges)


def write_arrow_file(
    path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> FileHashes:
    """Write `batches` with an `ArrowFileWriter`; returns the hashes."""
    with ArrowFileWriter(path, schema) as writer:
        for batch in batches:
            writer.append(batch)
    assert writer.hashes is not None
    return writer.hashes


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


class VerifiedArrowFile:
    """A memory-mapped Arrow file of which nothing unverified is ever handed out.

    Size, header and footer are checked on opening, each record batch on first touch. `recheck`
    compares the file under the path with the one that was opened (device, inode, size, times of
    modification and change); a difference forgets what was verified, so that changed bytes are
    found and a shrunk file is an error before its mapping is read. Raises `CorruptDataError` naming
    the file, region, byte range, expected and found. Not thread-safe.
    """

    def __init__(self, path: Path, hashes: FileHashes, remedy: str) -> None:
        self.path, self.hashes, self._remedy = path, hashes, remedy
        self._name = str(path)
        self.address = self.version = 0
        """Where the mapping begins in memory, until it is released; how often files were opened
        under the path that were not known to be unchanged."""
        self._verified: set[int] = set()
        self._identity: tuple[int, ...] = ()
        self._buffer: pa.Buffer | None = None
        self._reader: pa.RecordBatchFileReader | None = None
        self.recheck()

    @property
    def num_batches(self) -> int:
        """Record batches in the file."""
        return len(self.hashes.xxh3) - 2

    def batch(self, index: int) -> pa.RecordBatch:
        """Record batch `index`, zero-copy, verified on its first touch."""
        if index not in self._verified or self._buffer is None:
            self.recheck()
        if index not in self._verified:
            self._verify(index + 1)
            self._verified.add(index)
        if self._reader is None:
            self._reader = pa.ipc.open_file(self._buffer)
        return self._reader.get_batch(index)

    def recheck(self) -> bool:
        """True when all that was verified holds; else the file is opened and verified anew."""
        try:
            if self._buffer is not None and self._identity == _identity(os.stat(self._name)):
                return True
            return self._open()
        except OSError as error:
            self.close()
            if error.errno in _EXHAUSTED:
                raise BlankstreamError(
                    f"{self.path}: cannot be opened ({error.strerror}); the file is not to blame: "
                    "raise the limit (`ulimit -n`) or give fewer data sets"
                ) from error
            raise CorruptDataError(
                f"{self.path}: cannot be opened ({error.strerror}); {self._remedy}"
            ) from error

    def close(self) -> None:
        """Release the mapping, which lives on while arrays handed out from it do.

        What was verified is remembered: opened again unchanged, the file is not hashed again.
        """
        self._buffer = self._reader = None

    def _open(self) -> bool:
        self.close()
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            status = os.fstat(descriptor)
            if status.st_size != self.hashes.bytes:
                raise CorruptDataError(
                    f"{self.path}: {status.st_size} bytes long, expected {self.hashes.bytes}; "
                    f"{self._remedy}"
                )
            self._buffer = pa.py_buffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
        finally:
            os.close(descriptor)
        self.address = self._buffer.address
        if self._identity == _identity(status):
            return True
        self._verify_ends(_identity(status))
        return False

    def _verify_ends(self, identity: tuple[int, ...]) -> None:
        self._verified.clear()
        self._identity, self.version = (), self.version + 1
        try:
            self._verify(0)
            self._verify(len(self.hashes.xxh3) - 1)
        except CorruptDataError:
            self.close()
            raise
        self._identity = identity

    def _verify(self, region: int) -> None:
        assert self._buffer is not None
        start, stop = self.hashes.offsets[region : region + 2]
        found = xxhash.xxh3_64_intdigest(self._buffer.slice(start, stop - start))
        expected = self.hashes.xxh3[region]
        if found != expected:
            last = len(self.hashes.xxh3) - 1
            name = {0: "header", last: "footer"}.get(region, f"record batch {region - 1}")
            raise CorruptDataError(
                f"{self.path}: {name} (bytes {start}..{stop}) is damaged: expected xxh3 "
                f"{expected:016x}, found {found:016x}; {self._remedy}"
            )


def _identity(status: os.stat_result) -> tuple[int, ...]:
    ctime, mtime = status.st_ctime_ns, status.st_mtime_ns
    return status.st_dev, status.st_ino, status.st_size, mtime, ctime
