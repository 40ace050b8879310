"""The one copy on the way of a row: from wherever it lies in this process's memory to a batch.

Stands below `reader.py`, which knows the addresses.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

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


def copy_rows(
    addresses: Addresses, dtype: str, width: int, ends: Sequence[int]
) -> list[NDArray[Any]]:
    """The rows of `width` values at each of `addresses` (n,), copied to one array (m, width) for
    each part; part i ends at `ends[i]` and begins where the one before ends, the last ends at n.

    One fancy index over all mappings for each piece, of one large or several small parts: half the
    work of one index per shard, whose result must be copied once more into its place. One byte of
    every row is read before: a processor waits for many single bytes at once, but for a row only
    behind the one before, which costs a fifth more. Every address must be that of mapped memory.
    """
    if not len(addresses):
        return [np.empty((0, width), dtype) for _ in ends]
    start, row_bytes = int(addresses.min()), width * np.dtype(dtype).itemsize
    count = int(addresses.max()) - start + 1
    if count * row_bytes < _MAX_EXTENT:
        memory: NDArray[np.void] = np.asarray(_Memory(start, count, row_bytes))
        first_bytes: NDArray[np.void] = np.asarray(_Memory(start, count, 1))
        offsets, parts = addresses - start, []
        for first, piece_ends in _pieces(ends):
            here = offsets[first : piece_ends[-1]]
            first_bytes.take(here)
            piece = memory[here].view(dtype).reshape(len(here), width)
            parts += [piece[a - first : b - first] for a, b in pairwise([first, *piece_ends])]
        return parts
    rows = np.empty((len(addresses), width), dtype)
    for half in np.array_split(np.argsort(addresses), 2):
        (rows[half],) = copy_rows(addresses[half], dtype, width, [len(half)])
    return [rows[first:stop] for first, stop in pairwise([0, *ends])]


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
