"""The one copy on the way of a row: from wherever it lies in this process's memory to a batch.

Stands below `reader.py`, which knows the addresses.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.int64]

_MAX_EXTENT = 1 << 62
"""NumPy's limit on the bytes of an array, overlapping or not."""


_PIECE_BYTES = 31 << 20
"""Just below the largest piece that counts for glibc, 32 MiB with 64-bit addresses."""


_MIN_PIECE_ITEMS = 512
"""NumPy lets other threads run while it copies more than 500 items."""


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed, instead of asking the system for it for each batch.

    glibc hands free memory back when there is more of it than twice the largest piece that was
    mapped by itself and freed so far (mallopt(3), dynamic threshold), at first 256 KiB; what it
    asks for again is cleared page by page, which takes three times as long as copying rows there.
    So one large piece, never touched, is freed here. Other C libraries do not mind.
    """
    np.empty(_PIECE_BYTES, np.uint8)


class _Memory:
    """This process's memory as overlapping items of `item_bytes`, one beginning at every byte."""

    def __init__(self, start: int, count: int, item_bytes: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (start, True),
            "shape": (count,),
            "strides": (1,),
            "typestr": f"|V{item_bytes}",
        }


def copy_memory(
    addresses: Addresses, item_bytes: int, ends: Sequence[int]
) -> list[NDArray[np.void]]:
    """The `item_bytes` bytes at each of `addresses` (n,), copied to one array for each part; part i
    ends at `ends[i]` and begins where the one before ends, the last one ends at n.

    One fancy index over all mappings for each piece, of one large or several small parts: half the
    work of one index per shard, whose result must be copied once more into its place. Every address
    must be that of mapped memory.
    """
    if not len(addresses):
        return [np.empty(0, f"|V{item_bytes}") for _ in ends]
    start = int(addresses.min())
    count = int(addresses.max()) - start + 1
    if count * item_bytes < _MAX_EXTENT:
        memory: NDArray[np.void] = np.asarray(_Memory(start, count, item_bytes))
        return _copied(memory, addresses - start, ends)
    items = np.empty(len(addresses), f"|V{item_bytes}")
    for half in np.array_split(np.argsort(addresses), 2):
        (items[half],) = copy_memory(addresses[half], item_bytes, [len(half)])
    return [items[first:stop] for first, stop in pairwise([0, *ends])]


def _copied(
    memory: NDArray[np.void], offsets: Addresses, ends: Sequence[int]
) -> list[NDArray[np.void]]:
    parts = []
    for start, piece_ends in _pieces(ends):
        piece = memory[offsets[start : piece_ends[-1]]]
        parts += [
            piece[first - start : stop - start] for first, stop in pairwise([start, *piece_ends])
        ]
    return parts


def _pieces(ends: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Where each piece begins, and the ends of its parts; the last one may be short."""
    start, piece_ends = 0, list[int]()
    for end in ends:
        piece_ends.append(end)
        if end - start >= _MIN_PIECE_ITEMS:
            yield start, piece_ends
            start, piece_ends = end, []
    if piece_ends:
        yield start, piece_ends
