import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.mixture import (
    MAX_PERIOD,
    Interleaving,
    interleaving,
    period_counts,
    schedule,
    schedule_from,
)
from schemas.errors import UserError

WEIGHTS = st.lists(st.integers(0, 30), min_size=1, max_size=7).filter(any)
ANY_WEIGHTS = st.lists(st.floats(0.01, 100), min_size=1, max_size=4)


def prefix_counts(weights):
    chosen = schedule(weights)[:, None] == np.arange(len(weights))
    return np.cumsum(chosen, axis=0).tolist()


@given(WEIGHTS)
def test_every_prefix_holds_each_choice_within_one_of_its_share(weights):
    total = sum(weights)
    for length, counts in enumerate(prefix_counts(weights), start=1):
        for weight, count in zip(weights, counts, strict=True):
            assert abs(count - Fraction(weight * length, total)) < 1


@settings(max_examples=settings().max_examples // 3)
@given(ANY_WEIGHTS)
def test_a_period_holds_each_choice_as_often_as_its_rounded_share(weights):
    counts, period = period_counts(weights), len(schedule(weights))
    assert prefix_counts(weights)[-1] == counts
    assert period <= MAX_PERIOD
    for weight, count in zip(weights, counts, strict=True):
        assert abs(count / period - weight / sum(weights)) < 1 / MAX_PERIOD


@given(WEIGHTS)
def test_a_weight_of_zero_is_never_chosen(weights):
    assert {weights[choice] for choice in schedule(weights).tolist()}.isdisjoint({0})


def earliest_deadlines(weights, first=None):
    """The schedule as it is defined: of the occurrences that may stand at a step, the one that is
    due first, step by step, in fractions."""
    counts = period_counts(weights)
    period, chosen = sum(counts), [index for index, count in enumerate(counts) if count]
    slack = Fraction(0) if first is not None else Fraction(1, 2 * max(len(chosen), 2) - 2)
    used, order = dict.fromkeys(chosen, 0), []
    for step in range(1, period + 1):
        spans = {
            i: [Fraction(period, counts[i]) * (used[i] + part) for part in (slack, 1 - slack)]
            for i in chosen
            if used[i] < counts[i]
        }
        may = [i for i, (begin, _) in spans.items() if step > begin or (slack and step == begin)]
        best = min(may, key=lambda i: (spans[i][1], i))
        if step == 1 and first is not None:
            best = first
        order.append(best)
        used[best] += 1
    return order


@given(WEIGHTS)
def test_a_schedule_is_that_of_the_earliest_deadlines(weights):
    assert schedule(weights).tolist() == earliest_deadlines(weights)
    first = next(index for index, weight in enumerate(weights) if weight)
    assert schedule_from(weights, first).tolist() == earliest_deadlines(weights, first)


@pytest.mark.parametrize(
    ("weights", "counts"),
    [
        ([0.7, 0.2, 0.1], [7, 2, 1]),
        ([1 / 3] * 3, [1, 1, 1]),
        ([5], [1]),
        ([0.5, 0, 1.5], [1, 0, 3]),
    ],
)
def test_weights_are_the_decimals_they_are_written_as(weights, counts):
    assert period_counts(weights) == counts


def test_the_schedule_never_changes_by_accident():
    assert schedule([5, 3, 2]).tolist() == [0, 1, 0, 2, 0, 1, 0, 2, 1, 0]


@given(WEIGHTS, st.integers(0, 200))
def test_counts_agree_with_the_choices_before(weights, n):
    mixture = Interleaving(weights)
    chosen, occurrences = mixture.choices_at(np.arange(n))
    assert mixture.counts(n) == np.bincount(chosen, minlength=len(weights)).tolist()
    for index, (choice, occurrence) in enumerate(zip(chosen, occurrences, strict=True)):
        assert mixture.counts(index)[choice] == occurrence


@given(WEIGHTS, st.integers(0, 10**15), st.integers(0, 50))
def test_choices_far_away_continue_the_counts(weights, start, length):
    mixture = Interleaving(weights)
    places = np.arange(start, start + length)
    chosen, occurrences = mixture.choices_at(places)
    assert [mixture.index_of(*pair) for pair in zip(chosen, occurrences, strict=True)] == [*places]
    before, after = mixture.counts(start), mixture.counts(start + length)
    parts = [b - a for a, b in zip(before, after, strict=True)]
    assert parts == np.bincount(chosen, minlength=len(weights)).tolist()
    assert sum(after) == start + length


@given(WEIGHTS, st.integers(1, 5))
def test_equal_shares_have_one_interleaving(weights, factor):
    shares = period_counts(weights)
    again = interleaving(tuple(period_counts([factor * weight for weight in weights])))
    assert again is interleaving(tuple(shares))
    places = np.arange(3 * sum(shares))
    expected = np.resize(schedule(weights), len(places))
    assert np.array_equal(again.choices_at(places)[0], expected)


def test_the_longest_period_of_many_choices_takes_a_few_bytes_a_place():
    weights = np.random.default_rng(1).uniform(1, 2, 300).tolist()
    schedule(weights)  # which is kept, however it is interleaved
    tracemalloc.start()
    try:
        mixture = Interleaving(weights)
        counted = mixture.counts(10**9), tracemalloc.get_traced_memory()[0]
        mixture.choices_at(np.arange(10))
        looked_up = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert (mixture.period, sum(counted[0])) == (MAX_PERIOD, 10**9)
    assert counted[1] < 4 * MAX_PERIOD < looked_up < 8 * MAX_PERIOD


def test_weights_are_summed_once_however_many_they_are(monkeypatch):
    added, add = [], Fraction.__radd__
    monkeypatch.setattr(Fraction, "__radd__", lambda one, other: added.append(1) or add(one, other))
    both = Fraction.__add__
    monkeypatch.setattr(Fraction, "__add__", lambda one, other: added.append(1) or both(one, other))
    assert period_counts([1] * 1000) == [1] * 1000
    assert 1000 <= len(added) <= 4000
    assert period_counts([0.5] * 20_000) == [1] * 20_000


@given(WEIGHTS, st.integers(0, 10**12))
def test_index_of_finds_the_place_of_an_occurrence(weights, number):
    mixture = Interleaving(weights)
    choice = int(np.argmax(weights))
    index = mixture.index_of(choice, number)
    assert [int(found[0]) for found in mixture.choices_at(np.array([index]))] == [choice, number]
    assert mixture.counts(index)[choice] == number


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), True, "1", None])
def test_a_weight_that_is_no_share_is_refused(weight):
    with pytest.raises(UserError, match="expected a finite number, not negative"):
        schedule([1, weight])


@pytest.mark.parametrize("weights", [[], [0, 0]])
def test_no_weight_above_zero_is_refused(weights):
    with pytest.raises(UserError, match="at least one must be above 0"):
        schedule(weights)


def test_a_weight_too_small_to_be_chosen_is_refused():
    with pytest.raises(UserError, match=r"1e-07 is less than 1/65536 .* never be chosen"):
        schedule([1, 1e-7])


@given(weights=st.lists(st.integers(1, 40), min_size=1, max_size=6), data=st.data())
def test_a_period_may_begin_with_any_choice_and_stays_within_one(
    weights: list[int], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(weights) - 1))
    order = schedule_from(weights, first).tolist()
    assert order[0] == first
    assert [order.count(choice) for choice in range(len(weights))] == period_counts(weights)
    counts = [0] * len(weights)
    for number, choice in enumerate(order, start=1):
        counts[choice] += 1
        for count, weight in zip(counts, weights, strict=True):
            assert abs(count - number * weight / sum(weights)) < 1


@pytest.mark.parametrize("last", [-1, 1e-9])
def test_an_error_over_many_weights_is_short(last):
    with pytest.raises(UserError) as raised:
        period_counts([1.5] * 30_000 + [last])
    assert len(str(raised.value)) < 300
