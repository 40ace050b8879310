"""`map` with several calls under way: for reading what is far away, and hashing, which frees the
interpreter."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(function: Callable[[T], R], things: Iterable[T], threads: int) -> Iterator[R]:
    """`function` of each of `things`, in their order; at most twice as many as there are `threads`
    are begun and not yet taken. With one thread it is `map`."""
    if threads == 1:
        yield from map(function, things)
        return
    waiting = iter(things)
    running: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        while True:
            free = 2 * threads - len(running)
            running += [pool.submit(function, thing) for thing in islice(waiting, free)]
            if not running:
                return
            yield running.popleft().result()
