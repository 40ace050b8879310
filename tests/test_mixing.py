"""Mixing: every item within one sample, or about one window's tokens, of the shares."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mixing import ObjectiveMix
from schemas.build_config import BuildConfig, ObjectiveConfig

SHARES = {"blank": 0.4, "document": 0.3, "sentence": 0.3}
NAMES = sorted(SHARES)


def config(shares: dict[str, float] = SHARES, mix_by: str = "samples") -> BuildConfig:
    objectives = {name: ObjectiveConfig(kind=name, share=share) for name, share in shares.items()}
    return BuildConfig(objective=objectives, mix_by=mix_by)


@given(st.text(min_size=1), st.sampled_from(["train", "heldout"]))
def test_every_prefix_of_an_item_is_within_one_sample_of_the_shares(
    item_id: str, split: str
) -> None:
    mix, counts = ObjectiveMix(config(), item_id, split), Counter[str]()
    for number in range(1, 101):
        counts[NAMES[mix.next()]] += 1
        assert all(abs(counts[name] - number * SHARES[name]) < 1 for name in SHARES)


@given(
    st.text(min_size=1),
    st.lists(st.integers(1, 20), min_size=1, max_size=6),
    st.integers(8, 2048),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=300),
)
def test_every_prefix_is_within_one_window_of_the_shares_of_tokens(
    item_id: str, shares: list[int], window: int, parts: list[float]
) -> None:
    names = [f"o{number}" for number in range(len(shares))]
    objectives = {
        name: ObjectiveConfig(kind="blank", share=share)
        for name, share in zip(names, shares, strict=True)
    }
    built = BuildConfig(objective=objectives, mix_by="tokens", window_tokens=window)
    mix, spent = ObjectiveMix(built, item_id, "train"), [0] * len(shares)
    for part in parts:
        chosen, tokens = mix.next(), 2 + int(part * (window - 2))
        mix.spend(chosen, tokens)
        spent[chosen] += tokens
        asked = [sum(spent) * share / sum(shares) for share in shares]
        assert all(abs(a - b) <= window for a, b in zip(spent, asked, strict=True))


@pytest.mark.parametrize("mix_by", ["samples", "tokens"])
def test_items_of_one_window_have_the_shares_together(mix_by: str) -> None:
    first = Counter(
        NAMES[ObjectiveMix(config(mix_by=mix_by), str(item), "train").next()]
        for item in range(6000)
    )
    assert all(abs(first[name] / 6000 - share) < 0.02 for name, share in SHARES.items())


@pytest.mark.parametrize("mix_by", ["samples", "tokens"])
def test_objectives_without_a_share_and_for_instructions_are_never_drawn(mix_by: str) -> None:
    shares = {"blank": 1.0, "document": 0.0, "instruction": 0.5}
    mix = ObjectiveMix(config(shares, mix_by), "x", "train")
    names = set()
    for _ in range(50):
        index = mix.next()
        mix.spend(index, 100)
        names.add(sorted(shares)[index])
    assert names == {"blank"}
    assert mix.instruction == sorted(shares).index("instruction")
