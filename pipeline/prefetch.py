"""Prefetch: one thread that works a bounded number of items ahead of its consumer.

Stands between the batches, which it makes, and `RowStream`, which hands them out. A thread and not
processes: gathering and hashing release the interpreter lock, and nothing has to be copied across.
"""

import os
import queue
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """The items of `iterator`, made by a thread, at most `depth` of them ahead.

    An exception of the iterator is raised by `get` in its place. The thread begins with the first
    `get`, when its owner has hold of it and can close it, and ends with the iterator, with `close`,
    or when the prefetcher is garbage; it holds no reference to its consumer. An exception that a
    signal raises, wherever it comes, leaves a prefetcher that can be closed.
    """

    def __init__(self, iterator: Iterator[T], depth: int) -> None:
        self._channel: _Channel[T] = _Channel(depth)
        self._thread = threading.Thread(
            target=self._channel.run, args=(iterator,), name="blankstream-prefetch", daemon=True
        )
        self._finalizer = weakref.finalize(self, self._channel.stop)

    def get(self) -> T:
        """The next item; raises `StopIteration`, or what the iterator raised, at the end."""
        assert not self.is_stopped
        if self._thread.ident is None:
            self._thread.start()
        return self._channel.get()

    @property
    def is_lost(self) -> bool:
        """True in the child of a fork: the thread is not there, nothing would come."""
        return self._channel.is_lost

    @property
    def is_stopped(self) -> bool:
        """True once `close` was called, also where it was interrupted."""
        return self._channel.is_stopped

    def close(self) -> None:
        """Stop the thread and wait until it has ended; once more where that was interrupted."""
        self._channel.stop()
        self._channel.wait()
        self._finalizer.detach()
        if self._thread.is_alive():  # it only has to go
            self._thread.join()


class _Channel(Generic[T]):
    """What thread and consumer share: a queue of items made, each in a tuple, and of errors.

    Simple queues, because a signal can come between any two lines of Python: it leaves a lock
    taken that is written in Python (`threading.Semaphore`), and makes a thread that was being
    joined look as if it had ended.
    """

    def __init__(self, depth: int) -> None:
        self.is_stopped = False
        self._made: queue.SimpleQueue[tuple[T] | BaseException] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(depth):
            self._room.put(None)
        self._has_begun = self._has_ended = False
        self._end: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._process = os.getpid()

    @property
    def is_lost(self) -> bool:
        return self._process != os.getpid()

    def run(self, iterator: Iterator[T]) -> None:
        self._has_begun = True  # before it looks whether it was stopped: see `wait`
        try:
            while self._has_room():
                self._made.put((next(iterator),))
        except BaseException as error:
            self._made.put(error)
        finally:
            if self.is_stopped:
                self._let_go()
            self._has_ended = True
            self._end.put(None)

    def get(self) -> T:
        made = self._made.get()
        if isinstance(made, BaseException):
            self._made.put(made)
            raise made
        self._room.put(None)
        return made[0]

    def stop(self) -> None:
        self.is_stopped = True
        if not self.is_lost:
            self._room.put(None)
            self._let_go()

    def wait(self) -> None:
        """Until the thread of a stopped channel has ended; one that begins later does nothing."""
        while self._has_begun and not self._has_ended and not self.is_lost:
            with suppress(queue.Empty):
                self._end.get(timeout=0.1)

    def _has_room(self) -> bool:
        self._room.get()
        return not self.is_stopped

    def _let_go(self) -> None:
        """Free what was made and will not be taken now, not when the garbage is collected some day:
        it is large. Errors stay, for whoever waits in `get`."""
        errors = []
        with suppress(queue.Empty):
            while True:
                made = self._made.get_nowait()
                if isinstance(made, BaseException):
                    errors.append(made)
        for error in errors:
            self._made.put(error)
