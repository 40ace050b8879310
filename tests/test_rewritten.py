"""Samples written again: equal number for number, but for what may have been drawn."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.packing import decode_row
from pipeline.sample_checks.rewritten import undrawn
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample
from tests.sample_rows import Packed, pack
from tests.strategies import SPECIAL


def packed_as(kind: str, **keys: object) -> Packed:
    """Rows of one sample each, all of one objective and without prompts in them."""
    options = {name: keys.pop(name) for name in ("sentinels",) if name in keys}
    config = BuildConfig(
        objective={"only": ObjectiveConfig(kind=kind, **keys)},  # type: ignore[arg-type]
        window_tokens=64,
        row_tokens=120,
        max_samples=1,
        **options,  # type: ignore[arg-type]
    )
    return pack(config, documents=12, tokens=200)


def sample_of(packed: Packed, row: int) -> Sample:
    return decode_row(packed.arrays.rows[row], packed.row_format)[0]


def is_found(packed: Packed, damaged: Packed) -> tuple[bool, bool]:
    """Whether damage is found without keys, and with them."""
    assert packed.problems() == packed.problems(packed.keys) == []
    return bool(damaged.problems()), bool(damaged.problems(packed.keys))


@pytest.mark.parametrize(
    ("name", "place", "found"),
    [
        ("labels", 0, "expected 65535, found 12"),
        ("positions", 2, "expected 2, found 12"),
        ("block_positions", 1, "expected 0, found 12"),
    ],
)
def test_a_number_that_differs_is_named_with_what_was_expected(
    name: str, place: int, found: str
) -> None:
    damaged = packed_as("blank").having(1, name, place, 12)
    assert damaged.problems() == [f"row 1, sample 0: {name}, place {place} of the sample: {found}"]


def test_a_boundary_that_differs_is_named() -> None:
    packed = packed_as("prefix_lm")
    boundary = sample_of(packed, 2).boundary
    assert packed.having(2, "boundaries", 0, boundary - 1).problems() == [
        f"row 2, sample 0: boundary: expected {boundary}, found {boundary - 1}"
    ]


@pytest.mark.parametrize("kind", ["blank", "sentence", "document", "prefix", "sentinel_spans"])
def test_an_input_of_part_b_is_its_label_before(kind: str) -> None:
    packed = packed_as(kind)
    sample = sample_of(packed, 0)
    for place in range(sample.boundary, len(sample.tokens)):
        damaged = packed.having(0, "tokens", place, int(sample.tokens[place]) ^ 1)
        assert is_found(packed, damaged) == (True, True)


@pytest.mark.parametrize(("ratio", "is_free"), [(0.0, False), (0.4, True), (1.0, False)])
def test_noise_is_where_it_may_be_and_with_keys_where_it_is(ratio: float, is_free: bool) -> None:
    packed = packed_as("blank", noise_ratio=ratio)
    sample = sample_of(packed, 3)
    for place in range(sample.boundary + 1, len(sample.tokens)):
        old, told = int(sample.tokens[place]), int(sample.labels[place - 1])
        if old != SPECIAL.start:
            new = told if old == SPECIAL.noise else SPECIAL.noise
            damaged = packed.having(3, "tokens", place, new)
            assert is_found(packed, damaged) == (not is_free, True)
    for place in (0, 1, sample.boundary):
        damaged = packed.having(3, "tokens", place, SPECIAL.noise)
        assert is_found(packed, damaged) == (True, True)


@pytest.mark.parametrize(
    ("ratios", "new", "is_free"),
    [
        ((1.0, 0.0), "label", False),
        ((1.0, 0.0), 500, False),
        ((0.8, 0.1), "label", True),
        ((0.8, 0.1), 500, True),
        ((0.8, 0.0), 500, False),
        ((0.8, 0.2), SPECIAL.end, False),
        ((0.0, 1.0), SPECIAL.mask, False),
        ((0.0, 0.5), SPECIAL.mask, False),
        ((0.0, 0.0), 500, False),
        ((0.5, 0.0), "label", True),
    ],
)
def test_a_token_in_place_is_what_the_ratios_allow(
    ratios: tuple[float, float], new: int | str, is_free: bool
) -> None:
    packed = packed_as("masked_tokens", replace_ratio=ratios[0], random_ratio=ratios[1])
    sample = sample_of(packed, 3)
    changed = 0
    for place in np.flatnonzero(sample.labels != IGNORE_INDEX).tolist():
        token = int(sample.labels[place]) if isinstance(new, str) else new
        if sample.tokens[place] != token:
            damaged = packed.having(3, "tokens", place, token)
            assert is_found(packed, damaged) == (not is_free, True)
            changed += 1
    assert changed


def test_a_span_in_place_is_replaced_as_a_whole() -> None:
    packed = packed_as("masked_lm", replace_ratio=0.5)
    sample = sample_of(packed, 3)
    places = np.flatnonzero(sample.labels != IGNORE_INDEX)
    longer = [place for place in places.tolist() if place + 1 in places]
    assert longer
    for place in longer:
        is_mask = sample.tokens[place] == SPECIAL.mask
        token = int(sample.labels[place]) if is_mask else SPECIAL.mask
        assert is_found(packed, packed.having(3, "tokens", place, token)) == (True, True)


def moved(packed: Packed, row: int, offset: int, stop: int) -> Packed:
    """All positions of a row's sample below `stop` moved."""
    positions = sample_of(packed, row).positions
    for place in range(stop):
        packed = packed.having(row, "positions", place, int(positions[place]) + offset)
    return packed


@pytest.mark.parametrize("kind", ["blank", "prefix", "causal_lm", "masked_lm", "sentinel_spans"])
def test_random_positions_move_a_sample_as_a_whole_within_the_window(kind: str) -> None:
    packed = packed_as(kind, random_positions=True)
    samples = [sample_of(packed, row) for row in range(len(packed.arrays.rows))]
    short = int(np.argmin([len(sample.tokens) for sample in samples]))
    sample = samples[short]
    stop = sample.boundary if kind == "sentinel_spans" else len(sample.tokens)
    room = 63 - int(sample.positions[:stop].max())
    lowest = int(sample.positions[0])
    free = [offset for offset in (-lowest, room) if offset]
    assert free
    for offset in free:
        assert is_found(packed, moved(packed, short, offset, stop)) == (False, True)
    assert is_found(packed, moved(packed, short, room + 1, stop)) == (True, True)
    assert is_found(packed, moved(packed, short, 1, stop - 1)) == (True, True)


def test_positions_of_part_b_stay_where_spans_have_sentinels() -> None:
    packed = packed_as("blank", random_positions=True, sentinels=True)
    sample = sample_of(packed, 0)
    whole = moved(packed, 0, 1, len(sample.tokens))
    assert is_found(packed, whole) == (True, True)
    assert sample.positions[sample.boundary :].tolist() == [64] * len(
        sample.tokens[sample.boundary :]
    )


def test_what_is_certain_stays_in_rules_without_draws() -> None:
    rules = packed_as("blank").rules[0]
    drawn = {
        "random_positions": True,
        "noise_ratio": 0.5,
        "replace_ratio": 0.1,
        "random_ratio": 0.2,
    }
    objective = undrawn(replace(rules, objective=replace(rules.objective, **drawn))).objective
    assert (objective.noise_ratio, objective.replace_ratio, objective.random_ratio) == (0, 1, 0)
    assert not objective.random_positions
    certain = replace(rules.objective, noise_ratio=1.0, replace_ratio=0.0)
    assert undrawn(replace(rules, objective=certain)).objective == certain
