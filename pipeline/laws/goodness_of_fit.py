"""What was observed against what a law expects: the test that a finished build must pass.

Used by `gate.py` on the sums over all items. A build fails where a difference is both certain
(p < 1e-9) and material (total variation > 0.01): never by chance, and never for a trifle.

Equal sums give equal digits on every machine, as they enter the manifest and its hash: sums are
integers, and all else is decimal arithmetic of `_DIGITS` digits, in which every operation, ln
included, is exactly rounded by definition and nothing is left to a machine's library of functions.
"""

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from typing import NamedTuple

from pipeline.laws.lengths import UNIT

MAX_LOG10_P = -9.0
MIN_TOTAL_VARIATION = 0.01
MIN_EXPECTED = 5
"""Observations expected in a bin at least; neighbours are put together until they have them."""

_DIGITS = 50
_CONTEXT = Context(prec=_DIGITS)
_NEGLIGIBLE = Decimal("1e-40")
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")

Pair = tuple[int, int]
"""Observed and expected units in a bin; the latter in the scale of its column."""


class Comparison(NamedTuple):
    """The likelihood-ratio chi-square test of one tally.

    `log10_p` is the probability of a larger `chi_square` under the law; `total_variation` (0..1)
    the share of observations that are in another bin than expected. Rounded for the reader.
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
    with localcontext(_CONTEXT):
        total, scale = sum(observed), max(sum(expected), 1)
        least = MIN_EXPECTED * UNIT * scale
        pairs = _pooled([(o, e * total) for o, e in _padded(observed, expected)], least)
        ratios = [(Decimal(o), Decimal(o * scale) / Decimal(e)) for o, e in pairs if o > 0]
        chi_square = max(2 * sum((o * r.ln() for o, r in ratios), Decimal(0)) / UNIT, Decimal(0))
        distance = Decimal(sum(abs(o * scale - e) for o, e in pairs)) / (2 * scale * max(total, 1))
        freedom = max(len(pairs) - 1, 0)
        log10_p = log10_survival(chi_square, freedom) if freedom else Decimal(0)
        return Comparison(
            _rounded(Decimal(total) / UNIT, 3),
            _rounded(chi_square, 3),
            freedom,
            _rounded(log10_p, 3),
            _rounded(distance, 6),
        )


def _rounded(value: Decimal, digits: int) -> float:
    return float(round(value, digits)) + 0.0


def log10_survival(chi_square: Decimal, degrees_of_freedom: int) -> Decimal:
    """log10 of the probability that a chi-square variable exceeds `chi_square` >= 0.

    The regularised incomplete gamma function Q(k / 2, x / 2): the power series of 1 - Q below its
    mean, the continued fraction in logarithms above, where Q itself may be too small for a number.
    Source: Abramowitz and Stegun 6.5.29 and 6.5.31.
    """
    with localcontext(_CONTEXT):
        a, x = Decimal(degrees_of_freedom) / 2, chi_square / 2
        if x <= 0:
            return Decimal(0)
        log_front = a * x.ln() - x - _gamma(degrees_of_freedom).ln()
        if x < a + 1:
            return (1 - log_front.exp() * _series(a, x)).log10()
        return (log_front + _fraction(a, x).ln()) / Decimal(10).ln()


def _gamma(degrees_of_freedom: int) -> Decimal:
    """Gamma(k / 2) by its recurrence, from Gamma(1) = 1 or Gamma(1 / 2) = sqrt(pi)."""
    is_odd = degrees_of_freedom % 2
    value = _PI.sqrt() if is_odd else Decimal(1)
    for twice in range(1 if is_odd else 2, degrees_of_freedom, 2):
        value = value * twice / 2
    return value


def _series(a: Decimal, x: Decimal) -> Decimal:
    """Sum of x**n / (a (a + 1) ... (a + n)) for n = 0, 1, ..."""
    term = total = 1 / a
    while term > total * _NEGLIGIBLE:
        a += 1
        term *= x / a
        total += term
    return total


def _fraction(a: Decimal, x: Decimal) -> Decimal:
    """1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...)), by Lentz's method; x >= a + 1."""
    b = x + 1 - a
    value = d = 1 / b
    c, number = Decimal("Infinity"), 0
    while True:
        number += 1
        numerator = number * (a - number)
        b += 2
        d = 1 / (b + numerator * d)
        c = b + numerator / c
        value *= c * d
        if abs(c * d - 1) < _NEGLIGIBLE:
            return value


def _padded(observed: Sequence[int], expected: Sequence[int]) -> list[Pair]:
    size = max(len(observed), len(expected))
    columns = ([*column, *[0] * (size - len(column))] for column in (observed, expected))
    return list(zip(*columns, strict=True))


def _pooled(pairs: Sequence[Pair], least: int) -> list[Pair]:
    """Neighbouring bins put together from the left until `least` is expected; what is left over
    joins the last."""
    pooled: list[Pair] = []
    o = e = 0
    for more_o, more_e in pairs:
        o, e = o + more_o, e + more_e
        if e >= least:
            pooled.append((o, e))
            o = e = 0
    if pooled and (o or e):
        last_o, last_e = pooled.pop()
        pooled.append((last_o + o, last_e + e))
    return pooled
