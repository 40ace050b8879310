"""Locks on folders and files that die with their process, between threads too.

Stands below everything that shares a cache. A lock is released before it is closed, so that a child
forked meanwhile does not go on holding it. Nobody blocks in the system: who waits tries again after
a pause of its own (`waiting.py`), which may raise instead.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Pause = Callable[[], None]
"""Called while others hold a lock, before each further attempt."""


class ProcessLock:
    """A lock between the threads of a process. The child of a fork begins with it free, whichever
    thread of its parent held it.

    No finalizer may take it: one can run in the very thread that holds it, which would wait for
    itself.
    """

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        self._locks.setdefault(os.getpid(), threading.Lock()).acquire()

    def __exit__(self, *_: object) -> None:
        self._locks[os.getpid()].release()


@contextmanager
def locked_folder(folder: Path, pause: Pause) -> Iterator[None]:
    """Hold the lock on an existing folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while not _try(descriptor):
            pause()
        yield
    finally:
        release(descriptor)


@contextmanager
def locked_file(path: Path, pause: Pause | None) -> Iterator[bool]:
    """Hold the lock on the file `path`, which is made for it in its folder; False where others hold
    it.

    With `pause` they are waited for. Whoever holds the lock may delete the file: those who wait
    then lock the next one of its name.
    """
    descriptor = _locked(path)
    while descriptor is None and pause is not None:
        pause()
        descriptor = _locked(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            release(descriptor)


def _locked(path: Path) -> int | None:
    while True:
        descriptor = _opened(path)
        try:
            if not _try(descriptor):
                os.close(descriptor)
                return None
            if _is_same(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        release(descriptor)


def _try(descriptor: int) -> bool:
    """Lock an open file unless others hold it; whether that was done."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


def _is_same(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def is_held(path: Path) -> bool:
    """Whether somebody holds a lock on an existing file; False when there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    is_free = _try(descriptor)
    release(descriptor)
    return not is_free


def release(descriptor: int) -> None:
    """Release the lock on an open file, whoever shares it, and close it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)
