"""The gate's test: its probabilities are right, far out too, and it refuses what is material."""

import importlib.util
import itertools
import math
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.laws.goodness_of_fit import Comparison, _pooled, compare
from pipeline.laws.goodness_of_fit import log10_survival as decimal_survival
from pipeline.laws.lengths import UNIT


def log10_survival(chi_square: float, degrees_of_freedom: int) -> float:
    return float(decimal_survival(Decimal(chi_square), degrees_of_freedom))


def even_survival(chi_square: float, degrees_of_freedom: int) -> float:
    """log10 of exp(-x / 2) sum (x / 2)**i / i!, i < k / 2: exact for even k."""
    x = chi_square / 2
    terms = [i * math.log(x) - math.lgamma(i + 1) for i in range(degrees_of_freedom // 2)]
    largest = max(terms)
    total = math.fsum(math.exp(term - largest) for term in terms)
    return (largest + math.log(total) - x) / math.log(10)


@given(st.floats(1e-3, 1e5), st.integers(1, 100).map(lambda half: 2 * half))
def test_survival_is_the_finite_sum_for_even_degrees_of_freedom(x: float, freedom: int) -> None:
    expected = even_survival(x, freedom)
    assert log10_survival(x, freedom) == pytest.approx(expected, rel=1e-11, abs=1e-13)


@given(st.floats(1e-3, 1300))
def test_survival_is_the_error_function_for_one_degree_of_freedom(x: float) -> None:
    expected = math.log10(math.erfc(math.sqrt(x / 2)))
    assert log10_survival(x, 1) == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize(
    ("chi_square", "freedom", "probability"),
    [(3.841459, 1, 0.05), (11.070498, 5, 0.05), (24.995790, 15, 0.05), (37.697298, 15, 0.001)],
)
def test_survival_agrees_with_printed_tables(
    chi_square: float, freedom: int, probability: float
) -> None:
    assert log10_survival(chi_square, freedom) == pytest.approx(math.log10(probability), abs=1e-6)


@given(st.floats(0, 1e4), st.floats(1e-3, 1e3), st.integers(1, 150))
def test_survival_falls_with_chi_square_and_rises_with_the_degrees_of_freedom(
    x: float, more: float, freedom: int
) -> None:
    here = log10_survival(x, freedom)
    assert log10_survival(x + more, freedom) <= here + 1e-12 <= 1e-12
    assert log10_survival(x, freedom + 1) >= here - 1e-12


def test_survival_where_no_probability_is_a_number() -> None:
    assert log10_survival(1e6, 10) == pytest.approx(even_survival(1e6, 10), rel=1e-12)
    assert log10_survival(1e6, 10) < -200_000


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=40))
def test_pooled_bins_expect_enough_and_lose_nothing(pairs: list[tuple[int, int]]) -> None:
    pooled = _pooled(pairs, 60)
    assert all(expected >= 60 for _, expected in pooled)
    if pooled:
        for column in (0, 1):
            assert sum(pair[column] for pair in pooled) == sum(pair[column] for pair in pairs)


def test_the_digits_depend_on_no_library_of_floating_point_functions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python's own decimal arithmetic, which shares no code with the compiled one, agrees."""
    bins = units([3, 40, 500, 90, 2.5]), units([0.1, 1, 11, 2.2, 0.07])
    found = compare(*bins)
    monkeypatch.setitem(sys.modules, "_decimal", None)
    monkeypatch.delitem(sys.modules, "decimal")
    specification = importlib.util.find_spec("pipeline.laws.goodness_of_fit")
    assert specification is not None
    assert specification.loader is not None
    again = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(again)
    assert again.Decimal is not Decimal
    assert again.compare(*bins) == found
    assert not any(hasattr(again, name) for name in ("log", "exp", "lgamma", "math", "np"))


def units(numbers: list[float]) -> list[int]:
    return [int(number * UNIT) for number in numbers]


def test_what_is_as_expected_passes() -> None:
    found = compare(units([100, 200, 700]), units([100, 200, 700]))
    assert found == Comparison(1000.0, 0.0, 2, 0.0, 0.0)


def test_a_difference_is_refused_only_when_it_is_certain_and_material() -> None:
    expected = units([0.5, 0.5])
    assert not compare(units([9, 0]), expected).is_refused
    assert not compare(units([500_000, 510_000]), expected).is_refused
    assert compare(units([500_000, 510_000]), expected).log10_p < -9
    assert not compare(units([48, 52]), expected).is_refused
    assert compare(units([48_000, 52_000]), expected).is_refused


@pytest.mark.parametrize("observed", [[], [3], units([3])])
def test_a_few_observations_are_no_evidence(observed: list[int]) -> None:
    assert compare(observed, units([0.5, 0.5])).log10_p == 0.0


def test_chance_alone_has_the_probability_that_is_reported() -> None:
    rng = np.random.default_rng(7)
    law = np.array([0.4, 0.3, 0.2, 0.05, 0.03, 0.02])
    draws = rng.multinomial(300, law, size=4000).tolist()
    found = [compare(units(draw), units(law.tolist())).log10_p for draw in draws]
    for limit in (-1, -2, -3):
        allowed = 4000 * 10**limit
        assert sum(p < limit for p in found) <= 1.3 * allowed + 4 * math.sqrt(allowed)


def test_the_order_in_which_bins_are_summed_is_no_matter() -> None:
    parts = [units([3, 1, 2]), units([5, 9, 9]), units([1, 1, 40])]
    sums = {tuple(map(sum, zip(*order, strict=True))) for order in itertools.permutations(parts)}
    assert len({compare(total, units([1, 1, 3])) for total in sums}) == 1
