import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders.order import MAX_SIZE, SMALL_SIZE, Permutation

KEYS = st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.text(max_size=4))

GOLDEN_SMALL = [3, 8, 6, 0, 4, 5, 7, 1, 2, 9]
GOLDEN_LARGE = [8732134866, 616786452, 1693413780, 1672683953, 5932969799]


def chi_square(counts: np.ndarray, expected: float) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


@given(st.integers(1, 700), KEYS)
def test_an_epoch_visits_every_row_exactly_once(size, key):
    visited = Permutation(size, *key)(np.arange(size))
    assert visited.dtype == np.int64
    assert sorted(visited.tolist()) == list(range(size))


@pytest.mark.parametrize("size", [SMALL_SIZE - 1, SMALL_SIZE, SMALL_SIZE + 1, 10_007, 65_536])
def test_an_epoch_of_a_larger_size_visits_every_row_exactly_once(size):
    assert np.array_equal(np.sort(Permutation(size, 1, 0)(np.arange(size))), np.arange(size))


@given(st.integers(1, MAX_SIZE), KEYS, st.data())
def test_the_images_of_any_size_are_distinct_and_in_range(size, key, data):
    places = data.draw(st.lists(st.integers(0, size - 1), unique=True, max_size=50))
    images = Permutation(size, *key)(np.array(places, np.int64)).tolist()
    assert len(set(images)) == len(places)
    assert all(0 <= image < size for image in images)


@given(st.integers(1, 10**10), KEYS, st.data())
def test_a_row_depends_on_its_own_index_only(size, key, data):
    places = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)))
    permutation = Permutation(size, *key)
    assert [int(permutation(places[i : i + 1])[0]) for i in range(len(places))] == list(
        permutation(places)
    )


def test_seed_epoch_and_digest_each_change_the_order():
    places = np.arange(1000)
    orders = [
        Permutation(1000, *key)(places)
        for key in [(1, 0, "a"), (2, 0, "a"), (1, 1, "a"), (1, 0, "b")]
    ]
    for index, first in enumerate(orders):
        for second in orders[index + 1 :]:
            assert (first == second).mean() < 0.02


def test_the_order_never_changes_by_accident():
    assert Permutation(10, 1, 0)(np.arange(10)).tolist() == GOLDEN_SMALL
    assert Permutation(10**10, 1, 2, "digest")(np.arange(5)).tolist() == GOLDEN_LARGE


@pytest.mark.parametrize("size", [2, 3, 5, 7, 12, 33])
def test_every_pair_of_rows_opens_and_closes_an_epoch_equally_often(size):
    ends, epochs = np.array([0, size - 1]), 4000
    counts = np.zeros((size, size))
    for epoch in range(epochs):
        first, last = Permutation(size, 7, epoch)(ends)
        counts[first, last] += 1
    pairs = counts[~np.eye(size, dtype=bool)]
    degrees = len(pairs) - 1
    assert chi_square(pairs, epochs / len(pairs)) < degrees + 4 * (2 * degrees) ** 0.5 + 4


def test_every_order_of_five_rows_is_equally_likely():
    orders = [tuple(Permutation(5, 3, epoch)(np.arange(5)).tolist()) for epoch in range(6000)]
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 120
    assert chi_square(counts, 50) < 119 + 4 * (2 * 119) ** 0.5


def test_rows_and_steps_of_a_large_epoch_are_spread_evenly():
    size, bins = 10**10, 500
    rows = Permutation(size, 1, 0)(np.arange(200_000))
    for values in (rows, (rows[1:] - rows[:-1]) % size, rows % bins * (size // bins)):
        counts, _ = np.histogram(values, bins, (0, size))
        assert chi_square(counts, len(values) / bins) < bins + 4 * (2 * bins) ** 0.5
