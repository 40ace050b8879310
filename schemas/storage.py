"""Committing files: all of a file appears under its name, or nothing does.

Used wherever a build or a run writes. A file is written under a temporary name in its own folder,
flushed to the disk, and renamed; the folder is flushed too, so that a finished record survives
power loss.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_MARK = ".tmp-"
"""Part of every temporary name; such a file is no part of a data set and may be deleted."""


@contextlib.contextmanager
def committed(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it over `path` when the block succeeds.

    On an error the temporary file is removed and `path` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}{TEMPORARY_MARK}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def commit_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically and durably."""
    with committed(path) as temporary:
        temporary.write_bytes(content)


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
