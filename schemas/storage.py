"""Committing files: all of a file appears under its name, or nothing does.

Used wherever a build or a run writes. A file is written under a temporary name in its own folder,
flushed to the disk, and renamed; the folder is flushed too, so that a finished record survives
power loss.
"""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_MARK = ".tmp-"
"""Part of every temporary name; such a file is no part of a data set and may be deleted."""

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
"""What making a hard link ends with where there are none."""


@contextlib.contextmanager
def drafted(folder: Path, stem: str) -> Iterator[Path]:
    """Yield the path of an empty temporary file in `folder`; it is removed with the block, unless
    it was renamed.

    The file is locked from the start, so that `remove_leftovers` can tell it from one whose writer
    was killed.
    """
    _make_folder(folder)
    temporary = folder / f"{stem}{TEMPORARY_MARK}{os.getpid()}-{secrets.token_hex(4)}"
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    try:
        # A file system without locks keeps its leftovers.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


@contextlib.contextmanager
def committed(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it over `path` when the block succeeds.

    On an error the temporary file is removed and `path` is left as it was.
    """
    with drafted(path.parent, path.name) as temporary:
        yield temporary
        commit_draft(temporary, path)


def commit_draft(temporary: Path, path: Path) -> None:
    """Rename a file over `path`, in the same file system, durably."""
    flush(temporary)
    _make_folder(path.parent)
    temporary.replace(path)
    flush(path.parent)


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
    with drafted(path.parent, path.name) as temporary:
        temporary.write_bytes(content)
        flush(temporary)
        try:
            is_ours = _link(temporary, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            is_ours = _rename_unless_there(temporary, path)
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


def remove_leftovers(folder: Path) -> int:
    """Delete what killed processes left half-written below `folder`; how many files that were.

    A file that its writer still holds locked stays.
    """
    removed = 0
    for path in folder.rglob(f"*{TEMPORARY_MARK}*"):
        with contextlib.suppress(OSError), path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
    return removed


def flush(path: Path) -> None:
    """Wait until the file or folder at `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
