"""The one copy on the way of a row: from wherever it lies in this process's memory to a batch.

Stands below `reader.py`, which knows the addresses.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.int64]

_MAX_EXTENT = 1 << 62
"""NumPy's limit on the bytes of an array, overlapping or not."""


_PIECE_BYTES = 31 << 20
"""Just below the largest piece that counts for glibc, 32 MiB with 64-bit addresses."""


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

    One fancy index over all mappings for each part: half the work of one index per shard, whose
    result must be copied once more into its place. Parts are arrays apart from each other, so that
    a batch that is kept keeps nothing else. Every address must be that of mapped memory.
    """
    edges = list(pairwise([0, *ends]))
    if not len(addresses):
        return [np.empty(0, f"|V{item_bytes}") for _ in edges]
    start = int(addresses.min())
    count = int(addresses.max()) - start + 1
    if count * item_bytes < _MAX_EXTENT:
        memory: NDArray[np.void] = np.asarray(_Memory(start, count, item_bytes))
        offsets = addresses - start
        return [memory[offsets[first:stop]] for first, stop in edges]
    items = np.empty(len(addresses), f"|V{item_bytes}")
    for half in np.array_split(np.argsort(addresses), 2):
        (items[half],) = copy_memory(addresses[half], item_bytes, [len(half)])
    return [items[first:stop] for first, stop in edges]
