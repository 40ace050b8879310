"""A few threads that fetch what will be needed, the soonest first.

Stands beside `path` of a place: what is not there in time is fetched by whoever needs it.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from heapq import heappop, heappush

from pipeline.shard_cache.room import NoRoomError
from pipeline.stores.stopping import Stop
from schemas.errors import BlankstreamError
from schemas.manifest import StoredFile

NUM_THREADS = 4
_PAUSE_SECONDS = 0.5
"""How long fetching rests when the cache has no room."""
_JOIN_SECONDS = 5.0

Fetch = Callable[[StoredFile, Stop], object]


class Ahead:
    """Threads that call `fetch(stored, stop)` for the files that were last wanted.

    Its errors are dropped, since whoever asks for the file meets them. The threads are daemons:
    they end with `close`, or soon after it where `stop` cannot end what they are at. Where the
    system gives no more threads, fewer do it, or none.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch, self._process = fetch, os.getpid()
        self._waiting: list[tuple[int, StoredFile]] = []
        """A heap: the position of each file in what is wanted, and the file."""
        self._wants, self._rests_until = 0, 0.0
        self._lock = threading.Lock()
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Who waits takes one and looks again; who then finds work puts one for the next."""
        self._stop = Stop()
        self._threads: list[threading.Thread] = []

    @property
    def is_lost(self) -> bool:
        """True in the child of a fork, which has none of the threads."""
        return self._process != os.getpid()

    def want(self, files: Sequence[StoredFile]) -> None:
        """Fetch these, the soonest first, and nothing else that has not begun."""
        with self._lock:
            self._waiting = list(enumerate(files))
            self._wants, self._rests_until = self._wants + 1, 0.0
        self._start(min(NUM_THREADS, len(files)))
        self._wake_one()

    def stop(self) -> None:
        """Tell the threads to end; what is being downloaded is given up.

        Takes no lock, since a finalizer may say so, whatever its thread holds.
        """
        if not self.is_lost:
            self._stop.set()
            for _ in range(NUM_THREADS):
                self._wakes.put(None)

    def close(self) -> None:
        """Stop, and wait a little for the threads."""
        self.stop()
        until = time.monotonic() + _JOIN_SECONDS
        for thread in [] if self.is_lost else self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _start(self, num_threads: int) -> None:
        while len(self._threads) < num_threads:
            name = f"blankstream-ahead-{len(self._threads)}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives no more of them: what is wanted is mere advice
                return
            self._threads.append(thread)

    def _wake_one(self) -> None:
        if self._wakes.empty():
            self._wakes.put(None)

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            wants, position, stored = taken
            try:
                self._fetch(stored, self._stop)
            except NoRoomError:
                self._rest(wants, position, stored)
            except (BlankstreamError, OSError):
                continue

    def _next(self) -> tuple[int, int, StoredFile] | None:
        """The soonest file that is still to be fetched, once there is one, behind the number of the
        list that wants it and its position there; None at the end."""
        while not self._stop.is_set:
            with self._lock:
                seconds = self._rests_until - time.monotonic()
                if self._waiting and seconds <= 0:
                    taken = heappop(self._waiting)
                    if self._waiting:
                        self._wake_one()
                    return self._wants, *taken
                longest = seconds if self._waiting else None
            with suppress(queue.Empty):
                self._wakes.get(timeout=longest)
        return None

    def _rest(self, wants: int, position: int, stored: StoredFile) -> None:
        """Try a file again later: what comes behind it must not take the room that it needs."""
        with self._lock:
            if wants == self._wants:
                heappush(self._waiting, (position, stored))
                self._rests_until = time.monotonic() + _PAUSE_SECONDS
