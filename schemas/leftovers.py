"""Deleting what killed writers left half-written.

Used before a data set is written; `storage.py` says what a temporary file is.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

from schemas.storage import TEMPORARY_MARK, this_host

FOREIGN_SECONDS = 86_400.0
"""How long a temporary file of another host is left alone after its last change."""

_GONE = (FileNotFoundError, NotADirectoryError, PermissionError)
"""What a folder that is no longer there, or never was ours to read, is opened with."""


def remove_leftovers(folder: Path) -> int:
    """Delete what killed processes left half-written below `folder`; how many files that were.

    A file that its writer still holds locked stays. Locks may reach no further than one host, so
    that a file of another one stays too until it is `FOREIGN_SECONDS` old. Only names are looked
    at, in one listing of each folder.
    """
    removed, folders = 0, [os.fspath(folder)]
    while folders:
        with contextlib.suppress(*_GONE), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif TEMPORARY_MARK in entry.name and entry.is_file(follow_symlinks=False):
                    removed += _remove_leftover(entry)
    return removed


def _remove_leftover(entry: "os.DirEntry[str]") -> bool:
    """Delete a temporary file that nobody holds; whether that was done."""
    host = entry.name.rpartition(TEMPORARY_MARK)[2].rsplit("-", 2)[0]
    with contextlib.suppress(OSError):
        if host != this_host() and time.time() - entry.stat().st_mtime < FOREIGN_SECONDS:
            return False
        descriptor = _open_for_lock(entry.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(entry.path)
            return True
        finally:
            os.close(descriptor)
    return False


def _open_for_lock(path: str) -> int:
    """A descriptor that may be locked: over NFS only one that can be written."""
    try:
        return os.open(path, os.O_RDWR)
    except OSError:
        return os.open(path, os.O_RDONLY)
