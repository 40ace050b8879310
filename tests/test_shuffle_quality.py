"""The figures of shuffle quality against loops that say what they mean."""

import json
from itertools import combinations, pairwise
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import shuffle_quality
from benchmarks.shuffle_quality import distance, measure, serial_correlation, shards_touched

BATCHES = st.integers(2, 6).flatmap(
    lambda rows: st.lists(
        st.lists(st.integers(0, 99), min_size=rows, max_size=rows), min_size=1, max_size=5
    )
)


@given(BATCHES)
def test_the_distance_is_the_mean_over_all_pairs_of_a_batch(batches: list[list[int]]) -> None:
    pairs = [abs(a - b) for batch in batches for a, b in combinations(batch, 2)]
    assert distance(np.array(batches), 100) == pytest.approx(mean(pairs) / (101 / 3))


@given(BATCHES)
def test_shards_are_counted_once_per_batch(batches: list[list[int]]) -> None:
    found = mean(len({row // 10 for row in batch}) for batch in batches)
    expected = 10 * (1 - 0.9 ** len(batches[0]))
    firsts = np.arange(0, 100, 10)
    assert shards_touched(np.array(batches), firsts, 100) == pytest.approx(found / expected)


def test_a_perfect_shuffle_has_perfect_figures() -> None:
    taken = np.random.default_rng(0).permutation(64 * 4000).reshape(4000, 64)
    assert distance(taken, taken.size) == pytest.approx(1, abs=0.005)
    assert shards_touched(taken, np.arange(0, taken.size, 1000), taken.size) == pytest.approx(
        1, abs=0.005
    )
    assert serial_correlation(taken) == pytest.approx(0, abs=0.01)
    assert serial_correlation(np.arange(128).reshape(2, 64)) == pytest.approx(1)


def test_orders_are_as_good_as_their_windows_are_wide() -> None:
    found = measure(600)
    assert list(found) == ["global", "windowed/4", "windowed/16", "windowed/64", "none"]
    for key, sign in (("distance", -1), ("shards", -1), ("serial_correlation", 1)):
        values = [sign * figures[key] for figures in found.values()]
        ascending = [values[0], *reversed(values[1:-1]), values[-1]]
        assert all(a < b + 0.02 for a, b in pairwise(ascending)), (key, values)
    assert found["global"]["distance"] == pytest.approx(1, abs=0.02)
    for shards in (4, 16, 64):
        expected = 1 - 1 / shards
        assert found[f"windowed/{shards}"]["distance"] == pytest.approx(expected, abs=0.04)
    assert found["none"]["serial_correlation"] > 0.99


def test_it_prints_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffle_quality, "measure", lambda: measure(50))
    shuffle_quality.main()
    assert json.loads(capsys.readouterr().out)["orders"]["global"]["shards"] > 0.9
