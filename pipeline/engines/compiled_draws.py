"""`WindowBatch` and `randomness.Draws` for kernels: one window, and each draw by (state, index).

Kernels take tuples of arrays and tables of numbers; they know nothing of the classes outside
`compiled*.py`. Key and state are uint64 and must never meet a signed integer, which would make both
a float; everything that is drawn is int64.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.compiled_cache import helper
from pipeline.randomness import MIX_FIRST, MIX_SECOND, PER_STREAM, PER_WINDOW, STEP, Stream

Ints = NDArray[np.int64]

LENGTHS, PLACES, ORDER, SINGLE, NOISE, REPLACE, RANDOM_TOKENS, OFFSET = (
    np.uint64(int(stream))
    for stream in (
        Stream.LENGTHS,
        Stream.PLACES,
        Stream.ORDER,
        Stream.SINGLE,
        Stream.NOISE,
        Stream.REPLACE,
        Stream.RANDOM_TOKENS,
        Stream.OFFSET,
    )
)

_STEP, _PER_WINDOW, _PER_STREAM = np.uint64(STEP), np.uint64(PER_WINDOW), np.uint64(PER_STREAM)
_FIRST, _SECOND = np.uint64(MIX_FIRST), np.uint64(MIX_SECOND)
_BY_27, _BY_30, _BY_31, _BY_32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


class Windows(NamedTuple):
    """The arrays of a `WindowBatch` that kernels read, with `cls` and `eos` as 0 or 1."""

    tokens: NDArray[np.int32]
    sentence_ends: Ints
    offsets: Ints
    lengths: Ints
    prompts: Ints
    first_ends: Ints
    stop_ends: Ints
    keys: NDArray[np.uint64]
    numbers: Ints
    objectives: Ints
    cls: int
    eos: int


class Frame(NamedTuple):
    """One window: its size, maskable range and prompt in tokens, and what keys its draws."""

    size: int
    first: int
    last: int
    prompt: int
    key: np.uint64
    number: int


@helper
def frame_of(windows: Windows, index: int) -> Frame:
    """Window `index`."""
    length, first = windows.lengths[index], windows.cls + windows.prompts[index]
    return Frame(
        windows.cls + length + windows.eos,
        first,
        windows.cls + length,
        windows.prompts[index],
        windows.keys[index],
        windows.numbers[index],
    )


@helper
def mix(value: np.uint64) -> np.uint64:
    """`randomness.mix`."""
    value = (value ^ (value >> _BY_30)) * _FIRST
    value = (value ^ (value >> _BY_27)) * _SECOND
    return value ^ (value >> _BY_31)


@helper
def state_of(key: np.uint64, number: int, stream: np.uint64) -> np.uint64:
    """The state that `Draws(key, number, stream)` starts from."""
    return mix(key + np.uint64(number) * _PER_WINDOW + stream * _PER_STREAM)


@helper
def bits32_at(state: np.uint64, index: int) -> int:
    """The high 32 bits of draw `index`."""
    return int(np.int64(mix(state + np.uint64(index + 1) * _STEP) >> _BY_32))


@helper
def below_at(state: np.uint64, index: int, bound: int) -> int:
    """Draw `index` as an integer in [0, bound)."""
    return (bits32_at(state, index) * bound) >> 32


@helper
def shuffle(state: np.uint64, items: Ints) -> None:
    """`Draws.shuffle`."""
    for last in range(len(items) - 1, 0, -1):
        other = below_at(state, len(items) - 1 - last, last + 1)
        items[last], items[other] = items[other], items[last]
