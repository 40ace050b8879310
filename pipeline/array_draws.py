"""`randomness.Draws` with NumPy: the draws of many windows at once.

Used by the batched engine, and by the laws where they repeat a draw.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.randomness import MIX_FIRST, MIX_SECOND, PER_STREAM, PER_WINDOW, STEP, Stream
from pipeline.window_batch import Ints, WindowBatch

States = NDArray[np.uint64]


def states_of(windows: WindowBatch, stream: Stream) -> States:
    """(w,) What `Draws` of that stream start from."""
    with_window = windows.keys + windows.numbers.astype(np.uint64) * np.uint64(PER_WINDOW)
    return mix(with_window + np.uint64(stream * PER_STREAM & (2**64 - 1)))


def mix(values: States) -> States:
    """`randomness.mix`."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(MIX_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(MIX_SECOND)
    return values ^ (values >> np.uint64(31))


def bits32_at(states: States, indices: Any) -> Ints:
    """The high 32 bits of draws `indices`, broadcast against `states`."""
    steps = (np.atleast_1d(indices).astype(np.uint64) + np.uint64(1)) * np.uint64(STEP)
    return (mix(states + steps) >> np.uint64(32)).astype(np.int64)


def below_at(states: States, indices: Any, bounds: Any) -> Ints:
    """Draws `indices` as integers in [0, bounds)."""
    draws: Ints = (bits32_at(states, indices) * bounds) >> 32
    return draws


def shuffled(counts: Ints, states: States) -> Ints:
    """(w, largest count) For each window `Draws.shuffle` of 0..count - 1; then what is beyond."""
    items = np.tile(np.arange(counts.max()), (len(counts), 1))
    for index in range(int(counts.max()) - 1):
        row = np.flatnonzero(counts - index > 1)
        last = counts[row] - 1 - index
        other = below_at(states[row], index, last + 1)
        swapped = items[row, last]
        items[row, last] = items[row, other]
        items[row, other] = swapped
    return items
