"""Who uses what of a cache: when each file was last asked for, and what comes next here.

Stands between the contents of a cache and the choice of what to evict (`eviction.py`). The time of
the last use is that of the file's lock, which all processes see; changing the file itself would
make everybody who has it mapped verify it anew.
"""

import os
import time
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.shard_cache.contents import LOCKS, lock_path
from pipeline.shard_cache.locks import ProcessLock
from pipeline.shard_cache.marker import make_below

T = TypeVar("T")


class Recent(Generic[T]):
    """What was noted of files in the last `seconds`, and no more. Threads may share it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._noted: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._lock = ProcessLock()

    def note(self, sha256: str, value: T) -> None:
        """Note `value` of a file, in place of what was noted before."""
        with self._lock:
            self._noted[sha256] = time.monotonic(), value
            self._noted.move_to_end(sha256)
            self._forget()

    def of(self, sha256: str) -> T | None:
        """What was noted of a file; None when that was longer ago, or nothing."""
        with self._lock:
            self._forget()
            return self._noted[sha256][1] if sha256 in self._noted else None

    def _forget(self) -> None:
        oldest = time.monotonic() - self._seconds
        while self._noted and next(iter(self._noted.values()))[0] < oldest:
            self._noted.popitem(last=False)


class Uses:
    """The uses of the files of the cache in `folder`, as one process knows them; its own for
    `seconds` at least."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder, self._locks = folder, str(folder / LOCKS)
        self._stamps: Recent[int] = Recent(2 * seconds)
        self._next: dict[Hashable, dict[str, int]] = {}
        self._dropped: deque[Hashable] = deque()
        self._lock = ProcessLock()

    def touch(self, sha256: str) -> None:
        """Note that this process uses the file just now; `StorageError` where the folder is no
        cache any more."""
        descriptor = self._opened_lock(sha256)
        try:
            now = time.time_ns()
            os.utime(descriptor, ns=(now, now))
            self._stamps.note(sha256, os.fstat(descriptor).st_mtime_ns)
        finally:
            os.close(descriptor)

    def last(self, sha256: str) -> int:
        """When any process last used the file (ns since 1970); 0 when none did."""
        with suppress(FileNotFoundError):
            return os.stat(f"{self._locks}/{sha256[:2]}/{sha256}").st_mtime_ns
        return 0

    def is_ours(self, sha256: str, last: int) -> bool:
        """Whether the use at `last`, of the last seconds, was one of this process."""
        return self._stamps.of(sha256) == last

    def expect(self, who: Hashable, wanted: Iterable[str]) -> None:
        """What `who` will use next, the soonest first, in place of what it said before."""
        positions: dict[str, int] = {}
        for position, sha256 in enumerate(wanted):
            positions.setdefault(sha256, position)
        with self._lock:
            self._forget_dropped()
            self._next.pop(who, None)
            if positions:
                self._next[who] = positions

    def drop(self, who: Hashable) -> None:
        """`who` will use nothing more. Takes no lock, so that a finalizer may say so: the thread
        in which it runs may hold that lock, in the middle of what it guards."""
        self._dropped.append(who)

    def expected(self) -> dict[str, int]:
        """Every file that somebody in this process will use next, with its place in the order."""
        with self._lock:
            self._forget_dropped()
            orders = list(self._next.values())
        found: dict[str, int] = {}
        for order in orders:
            for sha256, position in order.items():
                found[sha256] = min(position, found.get(sha256, position))
        return found

    def _opened_lock(self, sha256: str) -> int:
        path, flags = lock_path(self._folder, sha256), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        make_below(self._folder, path.parent)
        return os.open(path, flags | os.O_CREAT, 0o666)

    def _forget_dropped(self) -> None:
        while self._dropped:
            self._next.pop(self._dropped.popleft(), None)
