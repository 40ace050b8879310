"""Mapped files of which nothing is used before its hash was checked.

Stands below `arrow_file.py` and `tar_shards.py`, which know what the bytes mean. Every byte belongs
to one region (schemas/manifest.py, `FileHashes`).
"""

import os
import stat
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

import pyarrow as pa
import xxhash

from pipeline.shard_formats.mappings import Descriptor, check_blame, map_file
from schemas.errors import BlankstreamError, CorruptDataError, DatasetError
from schemas.manifest import FileHashes

_identity = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
"""What of a file's status tells that it is the same file, unchanged."""


class VerifiedFile:
    """A memory-mapped file of regions: a header, batches, a footer.

    Size, header and footer are checked on opening, each batch on first touch. `recheck` compares
    the file under the path with the one that was opened (device, inode, size, times of modification
    and change); a difference forgets what was verified, so that changed bytes are found and a
    shrunk file is an error before its mapping is read. A file that `may_vanish`, such as a copy in
    a cache, is good without its name too, as long as size and time of modification stay: who takes
    the name away may do so because of damage. It takes a file descriptor while it is mapped.

    Raises `CorruptDataError` naming the file, region, byte range, expected and found;
    `DatasetError` for hashes of no file, and for a file that may not be read. Not thread-safe.
    """

    HEADER, BATCH, FOOTER = "header", "record batch", "footer"
    """What the regions are called in messages."""

    def __init__(
        self, path: Path, hashes: FileHashes, remedy: str, may_vanish: bool = False
    ) -> None:
        self.path, self.hashes, self._remedy = path, hashes, remedy
        self._name, self._may_vanish = str(path), may_vanish
        self.address = self.num_mapped = self.version = 0
        """Where the mapping begins in memory, until it is released; how often files were mapped,
        and how often such that were not known to be unchanged."""
        self._verified: set[int] = set()
        self._identity: tuple[int, ...] = ()
        self._buffer: pa.Buffer | None = None
        self._nameless: Descriptor | None = None  # what is mapped, whatever becomes of its name
        self._check_hashes()
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
            check_blame(self.path, error)
            raise self.corrupt(f"cannot be opened ({error.strerror})") from error

    def holds(self) -> bool:
        """True when the file is open, and the one under the path is the same, unchanged."""
        try:
            return self._buffer is not None and self._identity == _identity(os.stat(self._name))
        except FileNotFoundError:
            return self._is_unchanged_without_name()
        except OSError:
            return False

    def close(self) -> None:
        """Release the mapping, which lives on while arrays handed out from it do.

        What was verified is remembered: opened again unchanged, the file is not hashed again.
        """
        self._buffer = self._nameless = None

    def corrupt(self, what: str) -> CorruptDataError:
        """The error that says `what` is wrong with this file and how to mend it."""
        return CorruptDataError(f"{self.path}: {what}; {self._remedy}")

    def unfit(self, what: str) -> BlankstreamError:
        """The error for bytes that fit their hashes and are not what is expected: `DatasetError`,
        since another copy would be no better, unless the file has changed since it was hashed."""
        if not self.holds():
            return self.corrupt(f"changed while it was read ({what})")
        return DatasetError(f"{self.path}: {what}; {self._remedy}")

    def _check_hashes(self) -> None:
        """A table of a stranger may say anything; all slices of the mapping rest on this."""
        try:
            self.hashes.check()
            if self.num_batches < 0 or not self.hashes.bytes:
                raise ValueError(f"header and footer do not cover {self.hashes.bytes} bytes")
        except ValueError as error:
            raise DatasetError(f"{self.path}: {error}; {self._remedy}") from error

    def _is_unchanged_without_name(self) -> bool:
        """Whether the mapped file is what it was in all but the time of change, which the loss of
        its name changes."""
        with suppress(OSError):
            if self._nameless is not None:
                return self._identity[:-1] == _identity(self._nameless.status())[:-1]
        return False

    def _open(self) -> bool:
        self.close()
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise self.corrupt("no regular file")
            if status.st_size != self.hashes.bytes:
                raise self.corrupt(f"{status.st_size} bytes long, expected {self.hashes.bytes}")
            self._nameless = Descriptor(descriptor) if self._may_vanish else None
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
