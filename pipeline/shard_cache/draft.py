"""A file of the cache while it is fetched: its room taken at once, gone unless it is committed.

Stands between the room that is made for it (`folder.py`) and the download.
"""

import fcntl
import os
import secrets
from pathlib import Path
from typing import Self

from pipeline.shard_cache.contents import draft_path, object_path
from pipeline.shard_cache.locks import release
from pipeline.shard_cache.marker import make_below


class Draft:
    """`num_bytes` on the disk for the content `sha256`; locked while it is held.

    Make it under the lock of the cache. `OSError` where the disk has no room. The committed file is
    not flushed: what a power failure leaves of it is verified by its readers like everything else.
    """

    def __init__(self, folder: Path, sha256: str, num_bytes: int) -> None:
        self._folder = folder
        self._path = draft_path(folder, sha256, secrets.token_hex(8))
        self._target = object_path(folder, sha256)
        self._path.parent.mkdir(exist_ok=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if num_bytes:
                os.posix_fallocate(self._descriptor, 0, num_bytes)
        except BaseException:
            self.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def rewind(self) -> None:
        """Begin the content again."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def write(self, piece: bytes) -> None:
        """Write the next bytes."""
        left = memoryview(piece)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def commit(self) -> Path:
        """Give the finished file its name, over one that is there; `StorageError` where the folder
        is no cache any more."""
        make_below(self._folder, self._target.parent)
        self._path.replace(self._target)
        self.release()
        return self._target

    def release(self) -> None:
        """Hold it no longer, and delete it unless it was committed; again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                self._path.unlink(missing_ok=True)
            finally:
                release(descriptor)
