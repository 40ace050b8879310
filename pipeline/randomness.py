"""Counter-based randomness, keyed by what is drawn: (seed, pass, document, window, stream).

Used by every sampler. Draw number i of a key is splitmix64's output i+1 from the key's state
(Steele, Lea and Flood 2014), so draws need no order, no worker and no time. All arithmetic is on
integers of 64 bits, so that another implementation agrees bit for bit.
"""

from collections.abc import MutableSequence
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

import xxhash

T = TypeVar("T")

_MASK64 = (1 << 64) - 1
STEP, PER_WINDOW, PER_STREAM = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F
"""Odd constants by which draw number, window and stream enter the state; the first is 2**64 over
the golden ratio, splitmix64's own."""

MIX_FIRST, MIX_SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Multipliers of splitmix64's finalizer."""


class Stream(IntEnum):
    """What a draw decides. Numbers are part of the data format: append, never renumber."""

    LENGTHS = 1
    PLACES = 2
    ORDER = 3
    FIRST_OBJECTIVE = 4
    SINGLE = 5
    NOISE = 6
    REPLACE = 7
    RANDOM_TOKENS = 8
    OFFSET = 9
    BOUND = 10


def mix(value: int) -> int:
    """splitmix64's finalizer, a bijection of [0, 2**64)."""
    value = ((value ^ (value >> 30)) * MIX_FIRST) & _MASK64
    value = ((value ^ (value >> 27)) * MIX_SECOND) & _MASK64
    return value ^ (value >> 31)


def document_key(seed: int, pass_number: int, document_id: str) -> int:
    """Key (64 bits) of all draws for one document in one pass."""
    return xxhash.xxh3_64_intdigest(f"{seed}/{pass_number}/{document_id}".encode())


def hash_fraction(document_id: str, purpose: str) -> float:
    """A fixed number in [0, 1) for (document, purpose), whatever the seed; multiples of 2**-53."""
    return (xxhash.xxh3_64_intdigest(f"{document_id}/{purpose}".encode()) >> 11) / (1 << 53)


class Draws:
    """The draws of one (document key, window, stream), in order from draw 0."""

    __slots__ = ("_next", "_state")

    def __init__(self, key: int, window: int, stream: Stream) -> None:
        self._state = mix((key + window * PER_WINDOW + stream * PER_STREAM) & _MASK64)
        self._next = 0

    def bits32(self) -> int:
        """The high 32 bits of the next draw."""
        self._next += 1
        return mix((self._state + self._next * STEP) & _MASK64) >> 32

    def below(self, bound: int) -> int:
        """An integer in [0, bound), bound <= 2**31; its bias is at most bound / 2**32."""
        assert 0 < bound <= 1 << 31, bound
        return self.bits32() * bound >> 32

    def bits32_at(self, index: int) -> int:
        """The high 32 bits of draw `index`, whatever was drawn before."""
        return mix((self._state + (index + 1) * STEP) & _MASK64) >> 32

    def below_at(self, index: int, bound: int) -> int:
        """`below` with draw `index`, whatever was drawn before."""
        assert 0 < bound <= 1 << 31, bound
        return self.bits32_at(index) * bound >> 32

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Fisher-Yates in place, from the last place down to the second."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]


def threshold(ratio: float) -> int:
    """`ratio` in units of 2**-32, rounded down: a draw of 32 bits below it has this probability."""
    return int(Fraction(str(ratio)) * (1 << 32))


@lru_cache(maxsize=64)
def length_thresholds(law: str, mean: float, max_value: int) -> tuple[int, ...]:
    """Cumulative probabilities of span lengths 1..max_value, in units of 2**-32.

    `law` is "poisson" (weights of Poisson(mean) from 1 on, so that zero is never drawn) or
    "geometric" (success probability 1 / mean), truncated and renormalised. Value v has entry v - 1;
    the last entry is 2**32. Computed with exact fractions, so the same on every machine. A draw u
    of 32 bits means the first value whose entry is above u.
    """
    rate = Fraction(str(mean))
    weights = [Fraction(1)]
    for value in range(2, max_value + 1):
        factor = rate / value if law == "poisson" else max(Fraction(0), 1 - 1 / rate)
        weights.append(weights[-1] * factor)
    total = sum(weights)
    return tuple(int(part * (1 << 32) / total) for part in accumulate(weights))
