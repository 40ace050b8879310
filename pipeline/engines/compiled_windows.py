"""The arrays of a `WindowBatch` for kernels, and one window of it.

What `compiled_spans.py` and `compiled_rows.py` both read. Kernels take tuples of arrays and tables
of numbers; they know nothing of the classes outside `compiled*.py`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.compiled_cache import helper
from pipeline.engines.compiled_draws import Ints


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
