"""Draws are keyed by what is drawn, uniform, and never change."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.randomness import (
    Draws,
    Stream,
    document_key,
    hash_fraction,
    length_thresholds,
    mix,
)
from tests.strategies import KEYS


def test_known_draws_never_change() -> None:
    draws = Draws(document_key(1, 0, "a/b.txt#0"), 3, Stream.LENGTHS)
    assert [draws.below(1000) for _ in range(6)] == [993, 847, 878, 307, 41, 147]


def test_splitmix64_matches_its_published_values() -> None:
    golden = 0x9E3779B97F4A7C15
    outputs = [mix(1234567 + golden * n & (1 << 64) - 1) for n in (1, 2, 3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(KEYS, st.integers(0, 10**6), st.sampled_from(Stream), st.integers(1, 2**31))
def test_draws_lie_below_their_bound(key: int, window: int, stream: Stream, bound: int) -> None:
    draws = Draws(key, window, stream)
    assert all(0 <= draws.below(bound) < bound for _ in range(20))


def test_keys_windows_and_streams_give_different_draws() -> None:
    keys = [
        document_key(seed, number, name) for seed in (1, 2) for number in (0, 1) for name in "ab"
    ]
    drawn = {
        tuple(Draws(key, window, stream).below(2**31) for _ in range(1))
        for key in keys
        for window in range(5)
        for stream in Stream
    }
    assert len(drawn) == len(keys) * 5 * len(Stream)


def test_shuffle_reaches_every_order_equally_often() -> None:
    orders: Counter[tuple[int, ...]] = Counter()
    for key in range(6000):
        items = [0, 1, 2]
        Draws(mix(key), 0, Stream.ORDER).shuffle(items)
        orders[tuple(items)] += 1
    assert len(orders) == 6
    assert sum((count - 1000) ** 2 / 1000 for count in orders.values()) < 25


def test_length_thresholds_are_those_of_the_truncated_law() -> None:
    thresholds = length_thresholds("poisson", 3.0, 39)
    lengths = range(1, 40)
    shares = [(high - low) / 2**32 for low, high in zip([0, *thresholds], thresholds, strict=False)]
    mean = sum(length * share for length, share in zip(lengths, shares, strict=True))
    assert thresholds[-1] == 2**32
    assert abs(mean - 3.157) < 0.001  # glm_facts 1.2: the reference's truncated mean
    assert abs(shares[1] / shares[0] - 3 / 2) < 1e-6


def test_heldout_fraction_depends_on_the_purpose_and_is_uniform() -> None:
    fractions = [hash_fraction(f"document {number}", "heldout") for number in range(4000)]
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert abs(sum(fraction < 0.1 for fraction in fractions) / 4000 - 0.1) < 0.02
    assert hash_fraction("x", "heldout") != hash_fraction("x", "other")
