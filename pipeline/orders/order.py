"""Order of an epoch: a keyed bijection of [0, size), a pure function of key and index.

Stands between the mixture, which says how many rows of a data set were visited, and the reader.
Nothing is stored and nothing replayed, so that any place of any epoch of 10**10 rows costs the same
as the first.
"""

import math
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipeline.row_numbers import Numbers

MAX_SIZE = 1 << 62

SMALL_SIZE = 1 << 12
ROUNDS, ROUNDS_WHEN_SMALL = 6, 16
"""Even. Below `SMALL_SIZE` places more rounds are needed until every order is equally likely."""

_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_HALF = np.uint64(32)


class Permutation:
    """The order of one epoch over `size` rows, 0 <= size <= 2**62, keyed by seed, epoch and digest.

    A Feistel network over mixed radix: an index is a pair (high, low) with low < a = ceil(sqrt
    size) and high < b = ceil(size / a); each round adds a hash of one half to the other, modulo
    its radix. An image in [size, a * b) is mapped again until it lies below size ("cycle walking",
    Black and Rogaway 2002). Integer arithmetic alone, thus the same on every machine.
    """

    def __init__(self, size: int, seed: int, epoch: int, digest: str = "") -> None:
        assert 0 <= size <= MAX_SIZE, size
        self.size = size
        low = math.isqrt(max(size - 1, 0)) + 1
        self._low, self._high = np.uint64(low), np.uint64(max(1, -(-size // low)))
        rounds = ROUNDS_WHEN_SMALL if size < SMALL_SIZE else ROUNDS
        names = (f"order/{seed}/{epoch}/{digest}/{number}" for number in range(rounds))
        self._keys = [np.uint64(xxhash.xxh3_64_intdigest(name.encode())) for name in names]

    def __call__(self, indices: NDArray[Any]) -> Numbers:
        """Row numbers (n,) of the places `indices` (n,), both in [0, size)."""
        images = self._network(indices.astype(np.uint64))
        walking = np.flatnonzero(images >= self.size)
        while len(walking):
            images[walking] = self._network(images[walking])
            walking = walking[images[walking] >= self.size]
        return images.view(np.int64)

    def _network(self, indices: NDArray[np.uint64]) -> NDArray[np.uint64]:
        high, low = np.divmod(indices, self._low)
        for first, second in zip(self._keys[::2], self._keys[1::2], strict=True):
            low = _round(low, high, first, self._low)
            high = _round(high, low, second, self._high)
        return high * self._low + low


def _round(
    half: NDArray[np.uint64], other: NDArray[np.uint64], key: np.uint64, radix: np.uint64
) -> NDArray[np.uint64]:
    """(half + hash of the other half) modulo `radix` <= 2**32, without a division."""
    noise = other ^ key
    noise *= _FIRST
    noise ^= noise >> _HALF
    noise *= _SECOND
    noise >>= _HALF
    noise *= radix
    noise >>= _HALF
    noise += half
    noise -= radix * (noise >= radix)
    return noise
