"""Committing files: all of a file appears under its name, or nothing does.

Used wherever a build or a run writes. A file is written under a temporary name in its own folder,
flushed to the disk, and renamed; the folder is flushed too, so that a finished record survives
power loss.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_MARK = ".tmp-"
"""Part of every temporary name; such a file is no part of a data set and may be deleted."""


@contextlib.contextmanager
def committed(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it over `path` when the block succeeds.

    On an error the temporary file is removed and `path` is left as it was. The file exists and is
    locked from the start, so that `remove_leftovers` can tell it from one whose writer was killed.
    """
    _make_folder(path.parent)
    temporary = path.with_name(f"{path.name}{TEMPORARY_MARK}{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    try:
        # A file system without locks keeps its leftovers.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


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
