"""What was observed against what a law expects: the test that a finished build must pass.

Used by `gate.py` on the sums over all items. A build fails where a difference is both certain
(p < 1e-9) and material (total variation > 0.01): never by chance, and never for a trifle.
"""

from collections.abc import Sequence
from math import exp, fsum, lgamma, log, log1p
from typing import NamedTuple

from pipeline.laws.lengths import UNIT

MAX_LOG10_P = -9.0
MIN_TOTAL_VARIATION = 0.01
MIN_EXPECTED = 5.0
"""Observations expected in a bin at least; neighbours are put together until they have them."""


class Comparison(NamedTuple):
    """The likelihood-ratio chi-square test of one tally.

    `log10_p` is the probability of a larger `chi_square` under the law; `total_variation` (0..1)
    the share of observations that are in another bin than expected. Rounded, so that every machine
    writes the same digits.
    """

    observations: float
    chi_square: float
    degrees_of_freedom: int
    log10_p: float
    total_variation: float

    @property
    def is_refused(self) -> bool:
        """True where the difference is certain and material."""
        return self.log10_p < MAX_LOG10_P and self.total_variation > MIN_TOTAL_VARIATION


def compare(observed: Sequence[int], expected: Sequence[int]) -> Comparison:
    """Compare bins in units of 2**-32 of an observation; `expected` is scaled to the same sum.

    The statistic is 2 sum O ln(O / E), whose far tail is that of a chi-square also in bins of few
    observations, where Pearson's is not.
    """
    total, scale = sum(observed), max(sum(expected), 1)
    pairs = _pooled(
        [(o / UNIT, e / scale * (total / UNIT)) for o, e in _padded(observed, expected)]
    )
    chi_square = 2 * fsum(o * log(o / e) for o, e in pairs if o > 0)
    distance = fsum(abs(o - e) for o, e in pairs) / 2 / max(total / UNIT, 1e-9)
    freedom = max(len(pairs) - 1, 0)
    log10_p = log10_survival(max(chi_square, 0.0), freedom) if freedom else 0.0
    return Comparison(
        round(total / UNIT, 3),
        round(max(chi_square, 0.0), 3),
        freedom,
        round(log10_p, 3) + 0.0,
        round(distance, 6),
    )


def log10_survival(chi_square: float, degrees_of_freedom: int) -> float:
    """log10 of the probability that a chi-square variable exceeds `chi_square` >= 0.

    The regularised incomplete gamma function Q(k / 2, x / 2): the power series of 1 - Q below its
    mean, the continued fraction in logarithms above, where Q itself may be too small for a number.
    Source: Abramowitz and Stegun 6.5.29 and 6.5.31.
    """
    a, x = degrees_of_freedom / 2, chi_square / 2
    if x <= 0:
        return 0.0
    log_front = a * log(x) - x - lgamma(a)
    if x < a + 1:
        return log1p(-min(exp(log_front) * _series(a, x), 1 - 1e-16)) / log(10)
    return (log_front + log(_fraction(a, x))) / log(10)


def _series(a: float, x: float) -> float:
    """Sum of x**n / (a (a + 1) ... (a + n)) for n = 0, 1, ..."""
    term = total = 1 / a
    while term > total * 1e-17:
        a += 1
        term *= x / a
        total += term
    return total


def _fraction(a: float, x: float) -> float:
    """1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...)), by Lentz's method; x >= a + 1."""
    b = x + 1 - a
    c, d = float("inf"), 1 / b
    value, number = d, 0
    while True:
        number += 1
        numerator = number * (a - number)
        b += 2
        d = 1 / (b + numerator * d)
        c = b + numerator / c
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            return value


def _padded(observed: Sequence[int], expected: Sequence[int]) -> list[tuple[int, int]]:
    size = max(len(observed), len(expected))
    columns = ([*column, *[0] * (size - len(column))] for column in (observed, expected))
    return list(zip(*columns, strict=True))


def _pooled(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Neighbouring bins put together from the left; what is left over joins the last."""
    pooled: list[tuple[float, float]] = []
    o, e = 0.0, 0.0
    for more_o, more_e in pairs:
        o, e = o + more_o, e + more_e
        if e >= MIN_EXPECTED:
            pooled.append((o, e))
            o, e = 0.0, 0.0
    if pooled and (o or e):
        last_o, last_e = pooled.pop()
        pooled.append((last_o + o, last_e + e))
    return pooled
