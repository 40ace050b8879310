"""Mapped files of which nothing is used before its hash was checked.

Stands below `arrow_file.py` and `tar_shards.py`, which know what the bytes mean. Every byte belongs
to one region (schemas/manifest.py, `FileHashes`).
"""

import errno
import os
import stat
from operator import attrgetter
from pathlib import Path

import pyarrow as pa
import xxhash

from pipeline.shard_formats.mappings import map_file
from schemas.errors import BlankstreamError, CorruptDataError
from schemas.manifest import FileHashes

_EXHAUSTED = {
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "raise the limit of open files (`sysctl fs.file-max`)",
    errno.ENOMEM: "raise the limit of mapped files (`sysctl vm.max_map_count`)",
}
"""Limits that have been reached, and what raises them."""

_identity = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
"""What of a file's status tells that it is the same file, unchanged."""


class VerifiedFile:
    """A memory-mapped file of regions: a header, batches, a footer.

    Size, header and footer are checked on opening, each batch on first touch. `recheck` compares
    the file under the path with the one that was opened (device, inode, size, times of modification
    and change); a difference forgets what was verified, so that changed bytes are found and a
    shrunk file is an error before its mapping is read. A file that `may_vanish`, such as a copy in
    a cache, stays as it was mapped when its name goes. Raises `CorruptDataError` naming the file,
    region, byte range, expected and found. Not thread-safe.
    """

    may_vanish = False

    HEADER, BATCH, FOOTER = "header", "record batch", "footer"
    """What the regions are called in messages."""

    def __init__(self, path: Path, hashes: FileHashes, remedy: str) -> None:
        self.path, self.hashes, self._remedy = path, hashes, remedy
        self._name = str(path)
        self.address = self.num_mapped = self.version = 0
        """Where the mapping begins in memory, until it is released; how often files were mapped,
        and how often such that were not known to be unchanged."""
        self._verified: set[int] = set()
        self._identity: tuple[int, ...] = ()
        self._buffer: pa.Buffer | None = None
        if not _is_covered(hashes):
            raise self.corrupt(f"offsets {hashes.offsets} do not cover {hashes.bytes} bytes")
        self.recheck()

    @property
    def num_batches(self) -> int:
        """Batches in the file."""
        return len(self.hashes.xxh3) - 2

    def region(self, batch: int) -> pa.Buffer:
        """The bytes of batch number `batch`, zero-copy, verified on their first touch."""
        if batch not in self._verified or self._buffer is None:
            self.recheck()
        if batch not in self._verified:
            self._verify(batch + 1)
            self._verified.add(batch)
        return self._slice(batch + 1)

    def header(self) -> pa.Buffer:
        """What precedes the first batch, verified."""
        if self._buffer is None:
            self.recheck()
        return self._slice(0)

    def unverified_region(self, batch: int) -> pa.Buffer:
        """The bytes of batch number `batch`, whatever they are: what is concluded from them must be
        compared with what is verified."""
        self.recheck()
        return self._slice(batch + 1)

    def recheck(self) -> bool:
        """True when all that was verified holds; else the file is opened and verified anew."""
        try:
            return self.holds() or self._open()
        except OSError as error:
            self.close()
            if error.errno in _EXHAUSTED:
                raise BlankstreamError(
                    f"{self.path}: cannot be opened ({error.strerror}); the file is not to blame: "
                    f"{_EXHAUSTED[error.errno]} or give fewer data sets"
                ) from error
            raise self.corrupt(f"cannot be opened ({error.strerror})") from error

    def holds(self) -> bool:
        """True when the file is open, and the one under the path is the same, unchanged."""
        try:
            return self._buffer is not None and self._identity == _identity(os.stat(self._name))
        except FileNotFoundError:
            return self.may_vanish
        except OSError:
            return False

    def close(self) -> None:
        """Release the mapping, which lives on while arrays handed out from it do.

        What was verified is remembered: opened again unchanged, the file is not hashed again.
        """
        self._buffer = None

    def corrupt(self, what: str) -> CorruptDataError:
        """The error that says `what` is wrong with this file and how to mend it."""
        return CorruptDataError(f"{self.path}: {what}; {self._remedy}")

    def _open(self) -> bool:
        self.close()
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise self.corrupt("no regular file")
            if status.st_size != self.hashes.bytes:
                raise self.corrupt(
                    f"{status.st_size} bytes long, expected {self.hashes.bytes}",
                )
            self._buffer = map_file(descriptor, status.st_size)
        finally:
            os.close(descriptor)
        self.address, self.num_mapped = self._buffer.address, self.num_mapped + 1
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
        found = xxhash.xxh3_64_intdigest(self._slice(region))
        expected = self.hashes.xxh3[region]
        if found != expected:
            start, stop = self.hashes.offsets[region : region + 2]
            names = {0: self.HEADER, len(self.hashes.xxh3) - 1: self.FOOTER}
            name = names.get(region, f"{self.BATCH} {region - 1}")
            raise self.corrupt(
                f"{name} (bytes {start}..{stop}) is damaged: expected xxh3 "
                f"{expected:016x}, found {found:016x}"
            )

    def _slice(self, region: int) -> pa.Buffer:
        assert self._buffer is not None
        start, stop = self.hashes.offsets[region : region + 2]
        return self._buffer.slice(start, stop - start)


def _is_covered(hashes: FileHashes) -> bool:
    """A table of a stranger may say anything; all slices of the mapping rest on this."""
    offsets = hashes.offsets
    edges = len(offsets) == len(hashes.xxh3) + 1 > 2 and (offsets[0], offsets[-1])
    return edges == (0, hashes.bytes) and hashes.bytes > 0 and tuple(sorted(offsets)) == offsets
