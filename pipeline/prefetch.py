"""Prefetch: one thread that works a bounded number of items ahead of its consumer.

Stands between the batches, which it makes, and `RowStream`, which hands them out. A thread and not
processes: gathering and hashing release the interpreter lock, and nothing has to be copied across.
"""

import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """The items of `iterator`, made by a thread, at most `depth` of them ahead.

    An exception of the iterator is raised by `get` in its place. The thread begins with the first
    `get`, when its owner has hold of it and can close it, and ends with the iterator, with `close`,
    or when the prefetcher is garbage; it holds no reference to its consumer.
    """

    def __init__(self, iterator: Iterator[T], depth: int) -> None:
        self._channel: _Channel[T] = _Channel(depth)
        self._thread = threading.Thread(
            target=self._channel.run, args=(iterator,), name="blankstream-prefetch", daemon=True
        )
        self._stop = weakref.finalize(self, self._channel.stop)

    def get(self) -> T:
        """The next item; raises `StopIteration`, or what the iterator raised, at the end."""
        if self._thread.ident is None:
            self._thread.start()
        return self._channel.items.get()()

    @property
    def is_lost(self) -> bool:
        """True in the child of a fork: the thread is not there, nothing would come."""
        return self._channel.is_lost

    def close(self) -> None:
        """Stop the thread and wait until it has ended."""
        self._stop()
        if self._thread.ident is not None:
            self._thread.join()


class _Channel(Generic[T]):
    """What thread and consumer share: a queue of functions that return an item or raise."""

    def __init__(self, depth: int) -> None:
        self.items: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()
        self._room = threading.Semaphore(depth)
        self._stopped = False
        self._process = os.getpid()

    @property
    def is_lost(self) -> bool:
        return self._process != os.getpid()

    def run(self, iterator: Iterator[T]) -> None:
        while self._room.acquire() and not self._stopped:
            try:
                self.items.put(partial(self._hand_out, next(iterator)))
            except BaseException as error:
                self.items.put(partial(self._throw, error))
                return

    def stop(self) -> None:
        if self.is_lost:  # the thread may have held the semaphore's lock when the fork took place
            return
        self._stopped = True
        self._room.release()

    def _hand_out(self, item: T) -> T:
        self._room.release()
        return item

    def _throw(self, error: BaseException) -> T:
        self.items.put(partial(self._throw, error))
        raise error
