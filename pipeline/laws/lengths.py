"""The law of span lengths by bin, and the windows in which it holds without condition.

Used by `laws.py`. Probabilities are integers in units of 2**-32, as in `randomness.py`.
"""

from decimal import ROUND_CEILING, Context, Decimal, localcontext
from functools import lru_cache
from itertools import accumulate, pairwise, repeat
from operator import mul

import numpy as np

from pipeline.laws.drawn import Bools, Drawn
from pipeline.randomness import length_thresholds
from pipeline.window_batch import Ints
from schemas.build_config import ObjectiveConfig

UNIT = 1 << 32
"""One observation."""

_EXACT = 64

LENGTH_BINS = np.array(
    [*range(1, _EXACT + 1), *(first << shift for shift in range(14) for first in (65, 97))],
    np.int64,
)
"""First value of each bin of lengths and counts: exact up to 64, then two bins to a doubling."""

_PER_RARE = 10**6
_GRID = 1 << 10
_BASES = tuple(map(Decimal, ("0.95", "0.9", "0.8", "0.7", "0.5", "0.3")))
_CONTEXT = Context(prec=40)


def length_bins(values: Ints) -> Ints:
    """Bin of each value >= 1."""
    bins = values - 1
    is_long = values > _EXACT
    if is_long.any():
        bins[is_long] = np.searchsorted(LENGTH_BINS, values[is_long], side="right") - 1
    return bins


def law_of(objective: ObjectiveConfig) -> tuple[str, float, int]:
    """Arguments of `randomness.length_thresholds`."""
    return objective.span_lengths, objective.mean_span_tokens, objective.max_span_tokens


@lru_cache(maxsize=64)
def bin_probabilities(law: str, mean: float, max_value: int) -> Ints:
    """Probability of each of `LENGTH_BINS` in units."""
    bins = length_bins(np.arange(1, max_value + 1))
    probabilities = np.zeros(len(LENGTH_BINS), np.int64)
    np.add.at(probabilities, bins, np.diff([0, *length_thresholds(law, mean, max_value)]))
    return probabilities


def is_unconditional(drawn: Drawn, objective: ObjectiveConfig) -> Bools:
    """(w,) True where at most two drawn lengths in a million are shortened.

    Before the last of the drawn lengths at most target - 1 tokens are hidden, in at most so many
    spans as `_reach` says. Where that leaves room for a length that one in a million exceeds, the
    window is long enough. Short windows never are.
    """
    far, lines = _reach(*law_of(objective))
    hidden = drawn.windows.targets(objective.mask_ratio) - 1
    spans = hidden
    for first, slope in lines:
        spans = np.minimum(spans, (first + slope * hidden) // _GRID + 1)
    is_long: Bools = drawn.windows.maskable >= hidden + np.maximum(spans, 1) + far
    return is_long & ~drawn.is_short


@lru_cache(maxsize=64)
def _reach(law: str, mean: float, max_value: int) -> tuple[int, list[tuple[int, int]]]:
    """(length that one span in a million exceeds, lines that bound the number of spans).

    A line (a, b) says: with probability 1 - 1e-6, at most (a + b t) / 1024 + 1 lengths are drawn
    before their sum exceeds t (Chernoff's bound for x in 0..1: E[x^length]^k x^-t). In decimal
    arithmetic, which is the same on every machine, and rounded up to a grid.
    """
    thresholds = length_thresholds(law, mean, max_value)
    far = next(v for v, below in enumerate(thresholds, 1) if (UNIT - below) * _PER_RARE <= UNIT)
    chances = [stop - start for start, stop in pairwise((0, *thresholds))]
    lines = []
    with localcontext(_CONTEXT):
        rare = -Decimal(_PER_RARE).ln()
        for base in _BASES:
            powers = accumulate(repeat(base, len(chances)), mul)
            mean_power = sum(map(mul, chances, powers), Decimal(0)) / UNIT
            rate = -mean_power.ln()
            lines.append((_on_grid(-rare / rate), _on_grid(-base.ln() / rate)))
    return far, lines


def _on_grid(value: Decimal) -> int:
    return int((value * _GRID).to_integral_value(ROUND_CEILING))
