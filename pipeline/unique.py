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

REPEATED_BLOCK = 100_000
"""How many repeated values are looked for and handed out at a time, about."""

_BUCKET_BITS = 8
_HASH_BYTES = 8
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Leaf(NamedTuple):
    """Some hashes in order, of which no other leaf has any; the last occurs `more` times more."""

    hashes: Hashes
    more: int = 0


class HashSpill:
    """A multiset of 64-bit hashes that tells which values it holds more than once.

    A context manager; ask inside its block, and as often as you like. Up to `held_hashes` stay in
    memory, the others in a temporary folder (8 bytes each, up to twice as many while they are
    counted), which is removed with the block. Memory: 9 bytes x `held_hashes` and a few blocks of
    `REPEATED_BLOCK`, however many hashes and repeats there are. Results do not depend on the order
    of adding or on the limit. `StorageError` naming the folder when it is full. Not thread-safe.
    """

    def __init__(self, held_hashes: int = HELD_HASHES) -> None:
        assert held_hashes > 0, held_hashes
        self._held = np.empty(held_hashes, np.uint64)
        self._num_held = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._calls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def add(self, hashes: Hashes) -> None:
        """Add `hashes` (n,), in any order."""
        assert hashes.dtype == np.uint64, hashes.dtype
        self._calls += 1
        while len(hashes):
            room = len(self._held) - self._num_held
            if not room:
                self._spill()
                continue
            part = hashes[:room]
            self._held[self._num_held : self._num_held + len(part)] = part
            self._num_held += len(part)
            hashes = hashes[room:]

    def repeated(self) -> Iterator[Hashes]:
        """The values that occur more than once, ascending, each once, in blocks.

        Each block but the last has between one and two times `REPEATED_BLOCK` values. Nothing may
        be added or asked until one has done with the blocks.
        """
        self._calls += 1
        calls = self._calls
        parts = (part for leaf in self._leaves() for part in _repeated_in(leaf.hashes))
        for block in _joined(parts):
            yield block
            assert calls == self._calls, "hashes were added or asked for between two blocks"

    def num_repeats(self) -> int:
        """All hashes less the distinct ones."""
        self._calls += 1
        return sum(_num_again(leaf.hashes) + leaf.more for leaf in self._leaves())

    def _leaves(self) -> Iterator[_Leaf]:
        """All hashes, ascending, in parts that fit in `_held`; each takes the place of the last."""
        if self._folder is None:
            self._held[: self._num_held].sort()
            yield _Leaf(self._held[: self._num_held])
            return
        self._spill()
        for path in _buckets(self._path):
            yield from self._leaves_of(path)

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

    def _leaves_of(self, path: Path) -> Iterator[_Leaf]:
        """The leaves of one file, which is left as it is."""
        size = path.stat().st_size // _HASH_BYTES
        if size <= len(self._held):
            hashes = next(self._parts(path))
            hashes.sort()
            yield _Leaf(hashes)
            return
        least, most = _bounds(self._parts(path))
        if least == most:
            yield _Leaf(np.full(2, least, np.uint64), size - 2)
            return
        shift = max(0, (least ^ most).bit_length() - _BUCKET_BITS)
        with tempfile.TemporaryDirectory(dir=path.parent) as name:
            for part in self._parts(path):
                _scatter(part, (least >> shift, shift), Path(name))
            for bucket in _buckets(Path(name)):
                yield from self._leaves_of(bucket)

    def _parts(self, path: Path) -> Iterator[Hashes]:
        """The hashes of a file, as many at a time as are held, each part in place of the last."""
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(self._held.data):
                yield self._held[: size // _HASH_BYTES]


def _num_again(hashes: Hashes) -> int:
    """How many of `hashes`, in order, are equal to the one before."""
    return int(np.count_nonzero(hashes[1:] == hashes[:-1]))


def _repeated_in(hashes: Hashes) -> Iterator[Hashes]:
    """The values that occur more than once in `hashes`, which are in order."""
    for start in range(0, len(hashes), REPEATED_BLOCK):
        part = hashes[max(0, start - 2) : start + REPEATED_BLOCK]
        is_again = part[1:] == part[:-1]
        is_second = is_again[1:] & ~is_again[:-1]
        if start == 0:
            yield part[1:2][is_again[:1]]
        yield part[2:][is_second]


def _joined(parts: Iterator[Hashes]) -> Iterator[Hashes]:
    """`parts` put together to blocks of `REPEATED_BLOCK` values or more; no block is empty."""
    waiting: list[Hashes] = []
    count = 0
    for part in parts:
        if len(part):
            waiting.append(part)
            count += len(part)
        if count >= REPEATED_BLOCK:
            yield np.concatenate(waiting)
            waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting)


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
