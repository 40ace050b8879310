"""Committing files: all of a file appears under its name, or nothing does.

Used wherever a build or a run writes. A file is written under a temporary name in its own folder,
flushed to the disk, and renamed; the folder is flushed too, so that a finished record survives
power loss.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

TEMPORARY_MARK = ".tmp-"
"""Part of every temporary name; such a file is no part of a data set and may be deleted."""

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
"""What making a hard link ends with where there are none."""


class HeldFile:
    """An empty temporary file in a folder, which is made for it.

    It is locked as long as it is held, so that `leftovers.py` can tell it from one whose writer
    was killed. As a context it is released at the end, which removes it unless it was committed.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        _make_folder(folder)
        while True:
            numbers = f"{os.getpid()}-{secrets.token_hex(4)}"
            self.path = folder / f"{stem}{TEMPORARY_MARK}{this_host()}-{numbers}"
            self._descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
            # A file system without locks keeps its leftovers.
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            # Until it was locked it may have been taken for a leftover; nobody else makes the name.
            if self.path.exists():
                return
            self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def commit(self, path: Path) -> None:
        """Rename the finished file over `path`, in the same file system, durably; release it."""
        flush(self.path)
        _make_folder(path.parent)
        self.path.replace(path)
        self.release()
        flush(path.parent)

    def release(self) -> None:
        """Hold it no longer, and remove it unless it was committed; again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            self.path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def this_host() -> str:
    """This machine, as part of a temporary name before `-`, process and a random number."""
    return re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())[:64]


@contextlib.contextmanager
def committed(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it over `path` when the block succeeds.

    On an error the temporary file is removed and `path` is left as it was.
    """
    with HeldFile(path.parent, path.name) as held:
        yield held.path
        held.commit(path)


def _make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, each entry on the disk before the next."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush(folder.parent)


def commit_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically and durably."""
    with committed(path) as temporary:
        temporary.write_bytes(content)


def create_bytes(path: Path, content: bytes) -> bool:
    """Write `content` to `path` atomically and durably unless there is a file.

    False when there is one, which stays as it is. Of several callers at once one gets True; where
    the file system has no hard links, they wait for each other at a lock on the folder.
    """
    with HeldFile(path.parent, path.name) as held:
        held.path.write_bytes(content)
        flush(held.path)
        try:
            is_ours = _link(held.path, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            is_ours = _rename_unless_there(held.path, path)
        flush(path.parent)
    return is_ours


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        # Over a network the reply to a link that was made may have been lost.
        return path.exists() and path.samefile(temporary)
    return True


def _rename_unless_there(temporary: Path, path: Path) -> bool:
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            return False
        temporary.rename(path)
        return True
    finally:
        os.close(descriptor)


def commit_text(path: Path, content: str) -> None:
    """Write `content` as UTF-8 to `path` atomically and durably."""
    commit_bytes(path, content.encode())


def flush(path: Path) -> None:
    """Wait until the file or folder at `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
