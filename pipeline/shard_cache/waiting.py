"""Waiting for a lock that others hold: for a bounded time, and with an error that says for whom.

Stands between locks and the cache. A process that was paused (Ctrl-Z, SIGSTOP) keeps its locks: its
files are waited for as long as it may still be at work, never without end.
"""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline.stores.stopping import Stop
from schemas.errors import StorageError

_FIRST_SECONDS, _LONGEST_SECONDS = 0.001, 0.02
"""Pauses between two looks at a lock; each is twice as long as the one before."""

_HELD = re.compile(r"\d+: FLOCK +ADVISORY +WRITE +([1-9]\d*) ([0-9a-f]+):([0-9a-f]+):(\d+) .*")
"""A line of /proc/locks: process, major and minor number of the device, inode."""


class LockWait:
    """The pauses of one wait for the lock on `path`: call it after each attempt.

    Raises `StoppedError` once `stop` is set, and `StorageError` that names the holder when nothing
    of what `signs` gives, which changes while the holder works, did change in `longest_seconds`.
    """

    def __init__(
        self,
        path: Path,
        longest_seconds: float,
        stop: Stop,
        signs: Callable[[], object] = lambda: None,
    ) -> None:
        self._path, self._longest, self._stop, self._signs = path, longest_seconds, stop, signs
        self._pause, self._until, self._seen = _FIRST_SECONDS, time.monotonic(), object()

    def __call__(self) -> None:
        """A short pause."""
        if time.monotonic() >= self._until:
            self._look()
        self._stop.pause(self._pause, str(self._path))
        self._pause = min(2 * self._pause, _LONGEST_SECONDS)

    def _look(self) -> None:
        signs = self._signs()
        if signs == self._seen:
            raise StorageError(
                f"{self._path}: locked by {holder_of(self._path)}, which did nothing for "
                f"{self._longest:.0f} s; let it go on or end it, and run the same command again"
            )
        self._seen, self._until = signs, time.monotonic() + self._longest


def holder_of(path: Path) -> str:
    """Who holds the lock on a file, for a message: "process 12 (stopped)", as far as the system
    tells it, else "another process"."""
    with suppress(OSError):
        status = os.stat(path)
        place = os.major(status.st_dev), os.minor(status.st_dev), status.st_ino
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            if found := _HELD.fullmatch(line):
                process, major, minor, inode = found.groups()
                if place == (int(major, 16), int(minor, 16), int(inode)):
                    return _named(int(process))
    return "another process"


def _named(process: int) -> str:
    if process == os.getpid():
        return "another thread of this process"
    state = ""
    with suppress(OSError):
        state = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(") ")[2][:1]
    return f"process {process}{' (stopped)' if state in ('T', 't') else ''}"
