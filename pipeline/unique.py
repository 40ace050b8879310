"""Equal hashes among very many, in bounded memory: how documents with the same text are found.

Stands between the documents' tables and what reports duplicates. What does not fit in memory goes
to bucket files by its high bits, so that equal hashes meet in one file, and each file is sorted on
its own.
"""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StorageError

Hashes = NDArray[np.uint64]

HELD_HASHES = 8_000_000
"""Hashes held in memory unless told otherwise: 64 MB."""

_BUCKET_BITS = 8
_HASH_BYTES = 8
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Repeats(NamedTuple):
    """`values`, ascending, occur more than once; `extra` is the sum of their occurrences less one
    for each."""

    values: Hashes
    extra: int


class HashSpill:
    """A multiset of 64-bit hashes that tells which values it holds more than once.

    A context manager; ask inside its block, and as often as you like. Up to `held_hashes` stay in
    memory, the others in a temporary folder (8 bytes each, up to twice as many while they are
    counted), which is removed with the block. Memory: 8 bytes x `held_hashes`, a quarter more while
    they are counted, and the values returned. Results do not depend on the order of adding or on
    the limit. `StorageError` naming the folder when it is full. Not thread-safe.
    """

    def __init__(self, held_hashes: int = HELD_HASHES) -> None:
        assert held_hashes > 0, held_hashes
        self._held = np.empty(held_hashes, np.uint64)
        self._num_held = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._found: Repeats | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def add(self, hashes: Hashes) -> None:
        """Add `hashes` (n,), in any order."""
        assert hashes.dtype == np.uint64, hashes.dtype
        self._found = None
        while len(hashes):
            room = len(self._held) - self._num_held
            if not room:
                self._spill()
                continue
            part = hashes[:room]
            self._held[self._num_held : self._num_held + len(part)] = part
            self._num_held += len(part)
            hashes = hashes[room:]

    def repeated(self) -> Hashes:
        """The values that occur more than once, ascending, each once."""
        return self._repeats().values

    def num_repeats(self) -> int:
        """All hashes less the distinct ones."""
        return self._repeats().extra

    def _repeats(self) -> Repeats:
        if self._found is None:
            if self._folder is None:
                self._found = _repeats_of(self._held[: self._num_held])
            else:
                self._spill()
                self._found = _joined(self._count(path) for path in _buckets(self._path))
        return self._found

    @property
    def _path(self) -> Path:
        if self._folder is None:
            with _room(Path(tempfile.gettempdir())):
                self._folder = tempfile.TemporaryDirectory(prefix="blankstream-")
        return Path(self._folder.name)

    def _spill(self) -> None:
        """Move what is held to the buckets."""
        _scatter(self._held[: self._num_held], (0, 64 - _BUCKET_BITS), self._path)
        self._num_held = 0

    def _count(self, path: Path) -> Repeats:
        """The repeats in one file, which is left as it is; `_held` is free meanwhile."""
        size = path.stat().st_size // _HASH_BYTES
        if size <= len(self._held):
            return _repeats_of(next(self._parts(path)))
        least, most = _bounds(self._parts(path))
        if least == most:
            return Repeats(np.array([least], np.uint64), size - 1)
        shift = max(0, (least ^ most).bit_length() - _BUCKET_BITS)
        with tempfile.TemporaryDirectory(dir=path.parent) as name:
            for part in self._parts(path):
                _scatter(part, (least >> shift, shift), Path(name))
            return _joined(self._count(bucket) for bucket in _buckets(Path(name)))

    def _parts(self, path: Path) -> Iterator[Hashes]:
        """The hashes of a file, as many at a time as are held, each part in place of the last."""
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(self._held.data):
                yield self._held[: size // _HASH_BYTES]


def _repeats_of(hashes: Hashes) -> Repeats:
    """The repeats of `hashes`, which are put in order."""
    hashes.sort()
    is_again = hashes[1:] == hashes[:-1]
    values = hashes[1:][is_again]
    is_first = np.ones(len(values), bool)
    is_first[1:] = values[1:] != values[:-1]
    return Repeats(values[is_first], len(values))


def _joined(parts: Iterator[Repeats]) -> Repeats:
    """The repeats of buckets, in ascending order."""
    found = list(parts)
    values = [np.empty(0, np.uint64), *(part.values for part in found)]
    return Repeats(np.concatenate(values), sum(part.extra for part in found))


def _bounds(parts: Iterator[Hashes]) -> tuple[int, int]:
    """The smallest and the largest hash."""
    least, most = zip(*((int(part.min()), int(part.max())) for part in parts), strict=True)
    return min(least), max(most)


def _scatter(hashes: Hashes, origin: tuple[int, int], folder: Path) -> None:
    """Put `hashes` in order and append each to its bucket: (hash >> shift) - first, in 0..255;
    `origin` is (first, shift)."""
    first, shift = origin
    hashes.sort()
    later = range(first + 1, min(first + (1 << _BUCKET_BITS), 1 << (64 - shift)))
    edges = np.searchsorted(hashes, np.array(later, np.uint64) << np.uint64(shift)).tolist()
    with _room(folder):
        for bucket, part in enumerate(np.split(hashes, edges)):
            if len(part):
                with (folder / f"{bucket:03d}").open("ab") as file:
                    file.write(part.data)


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """`StorageError` where the disk of `folder` is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise StorageError(
            f"{folder}: cannot hold the hashes of the documents ({error.strerror}); free space, or "
            "set TMPDIR to a folder on a larger disk, and run the same command again"
        ) from error


def _buckets(folder: Path) -> list[Path]:
    """The bucket files of `folder`, ascending."""
    return sorted(path for path in folder.iterdir() if path.is_file())
