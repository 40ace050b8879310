"""Mixing: every item within one sample of the shares, whatever its first objective."""

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from pipeline.samples import objective_cycle

SHARES = {"blank": 0.4, "document": 0.3, "sentence": 0.3}


@given(st.text(min_size=1), st.sampled_from(["train", "heldout"]))
def test_every_prefix_of_an_item_is_within_one_sample_of_the_shares(
    item_id: str, split: str
) -> None:
    counts: Counter[str] = Counter()
    for number, name in enumerate(islice(objective_cycle(SHARES, item_id, split), 100), start=1):
        counts[name] += 1
        assert all(abs(counts[name] - number * SHARES[name]) < 1 for name in SHARES)


def test_items_of_one_window_have_the_shares_together() -> None:
    first = Counter(next(objective_cycle(SHARES, str(item), "train")) for item in range(6000))
    assert all(abs(first[name] / 6000 - share) < 0.02 for name, share in SHARES.items())


def test_an_objective_without_a_share_is_never_drawn() -> None:
    names = set(islice(objective_cycle({"blank": 1.0, "document": 0.0}, "x", "train"), 50))
    assert names == {"blank"}
