"""sentences -> windows: contiguous token slices of one document, nothing lost between them.

Stands between tokenizing and the span samplers.
"""

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from schemas.build_config import BuildConfig
from schemas.objectives import SpecialTokens
from schemas.samples import Window

Tokens = NDArray[np.int32]
Ends = NDArray[np.int64]


def cut_windows(
    tokens: Tokens, sentence_ends: Ends, config: BuildConfig, special: SpecialTokens
) -> Iterator[Window]:
    """Windows of at most `config.window_tokens`, [CLS] and eos included, in document order.

    `tokens` is int32 (n,), `sentence_ends` the ascending ends of its sentences, the last one n. A
    window ends at the last sentence end in its second half, else where it is full. Together the
    windows' [start, stop) cover [0, n) without gap or overlap.
    """
    capacity = config.window_tokens - config.add_cls - config.add_eos
    ends = sentence_ends.tolist()
    start = number = 0
    while start < len(tokens):
        stop = _window_stop(start, len(tokens), capacity, ends)
        yield _window(tokens, sentence_ends, (start, stop), number, config, special)
        start, number = stop, number + 1


def _window_stop(start: int, length: int, capacity: int, ends: list[int]) -> int:
    full = start + capacity
    if full >= length:
        return length
    before = bisect_right(ends, full)
    near = ends[before - 1] if before else 0
    return near if near > start + capacity // 2 else full


def _window(
    tokens: Tokens,
    sentence_ends: Ends,
    bounds: tuple[int, int],
    number: int,
    config: BuildConfig,
    special: SpecialTokens,
) -> Window:
    start, stop = bounds
    first = int(config.add_cls)
    head, tail = [special.cls] * first, [special.eos] * int(config.add_eos)
    framed = np.concatenate((head, tokens[start:stop], tail)).astype(np.int32)
    low, high = np.searchsorted(sentence_ends, [start, stop], side="right")
    inner = sentence_ends[low:high]
    if not len(inner) or inner[-1] != stop:
        inner = np.append(inner, stop)
    last = first + stop - start
    return Window(framed, first, last, inner - start + first, number, start, stop)
