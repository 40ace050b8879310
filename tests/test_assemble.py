"""Samples: the reference's arrays exactly, and a window that can be restored from every one."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.assemble import Rules, assemble_blanks
from pipeline.objectives import IN_PLACE, OBJECTIVES, corrupt, draw_spans, max_sample_tokens
from pipeline.randomness import document_key
from schemas.build_config import ObjectiveConfig
from schemas.objectives import IGNORE_INDEX, SpecialTokens
from schemas.samples import Sample, Span, Window
from tests.oracle import oracle_path
from tests.strategies import (
    KEYS,
    SPECIAL,
    VOCAB_SIZE,
    rules,
    windows,
    windows_with_spans,
)


def sample_cases() -> list[dict[str, Any]]:
    content = json.loads(oracle_path("sample_cases.json").read_text(encoding="utf-8"))
    return [case | {"special": content["special"]} for case in content["cases"]]


KINDS = {"mlm": "masked_lm"}
"""The reference's names of objectives that are called otherwise here."""


def rules_of_case(case: dict[str, Any]) -> Rules:
    special, variant = case["special"], case.get("variant")
    ids = {"pad": 0, "noise": -1, "first_sentinel": 30524, "num_sentinels": 9} | special
    kind = "prefix" if variant == "prefix" else case["objective"]
    objective = ObjectiveConfig(kind=KINDS.get(kind, kind), mask=case.get("mask", "mask"))
    constant = max(case.get("positions", [0]))
    return Rules(
        objective,
        SpecialTokens(**ids),
        vocab_size=30600,
        window_tokens=constant if variant == "sentinels" else 512,
        block_positions=variant != "no_block_positions",
        sentinels=variant == "sentinels",
    )


def sample_of(case: dict[str, Any]) -> Sample:
    rules, tokens = rules_of_case(case), np.array(case["window"], np.int32)
    window = Window(tokens, 0, len(tokens), np.array([len(tokens)]), 0, 0, len(tokens))
    order = case.get("order", range(len(case["spans"])))
    spans = [Span(*case["spans"][index]) for index in order]
    return OBJECTIVES[rules.objective.kind].form.assemble(window, spans, rules, 0)


@pytest.mark.oracle
@pytest.mark.parametrize("case", sample_cases(), ids=lambda case: case["name"])
def test_a_sample_equals_the_reference(case: dict[str, Any]) -> None:
    sample = sample_of(case)
    assert sample.boundary == case["boundary"]
    for name in ("tokens", "labels", "positions", "block_positions"):
        expected = case.get(name, [0] * len(sample.tokens))
        np.testing.assert_array_equal(getattr(sample, name), expected, err_msg=name)


@given(windows_with_spans())
def test_a_sample_equals_the_slow_obvious_one(drawn: tuple[Window, list[Span]]) -> None:
    window, spans = drawn
    rules = Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, 512)
    sample = assemble_blanks(window, spans, rules, 0)
    expected = slow_sample(window.tokens.tolist(), spans)
    for name, values in expected.items():
        assert getattr(sample, name).tolist() == values, name
        assert getattr(sample, name).dtype == np.int32


def slow_sample(window: list[int], spans: list[Span]) -> dict[str, list[int]]:
    """The definition, token by token."""
    starts = {span.start: span for span in spans}
    tokens, positions, blank_at, place = [], [], {}, 0
    while place < len(window):
        span = starts.get(place)
        if span:
            blank_at[span] = len(tokens)
        positions.append(len(tokens))
        tokens.append(SPECIAL.mask if span else window[place])
        place = span.stop if span else place + 1
    labels, blocks = [IGNORE_INDEX] * len(tokens), [0] * len(tokens)
    for span in spans:
        text = window[span.start : span.stop]
        tokens += [SPECIAL.start, *text]
        labels += [*text, SPECIAL.end]
        positions += [blank_at[span]] * (len(text) + 1)
        blocks += range(1, len(text) + 2)
    return {"tokens": tokens, "labels": labels, "positions": positions, "block_positions": blocks}


@given(windows(), rules(), KEYS, st.booleans())
def test_every_objective_gives_a_sample_that_restores_its_window(
    window: Window, applied: Rules, key: int, shuffle: bool
) -> None:
    line = OBJECTIVES[applied.objective.kind]
    sample = corrupt(window, applied, key, shuffle)
    tokens, found = line.form.restore(sample, applied)
    np.testing.assert_array_equal(tokens, window.tokens)
    drawn = draw_spans(window, applied.objective, key, shuffle)
    size, hidden_tokens = len(window.tokens), len(hidden(drawn))
    assert len(sample.tokens) == line.form.size(size, len(drawn))
    part_b = line.form.part_b(size, len(drawn), hidden_tokens)
    assert sample.boundary == len(sample.tokens) - part_b
    if line.form is IN_PLACE:
        assert hidden(found) == hidden(drawn)
    else:
        assert found == drawn


def hidden(spans: list[Span]) -> set[int]:
    return {place for span in spans for place in range(*span)}


@given(windows(), rules(), KEYS)
def test_no_prompt_is_predicted_and_positions_stay_in_the_tables(
    window: Window, applied: Rules, key: int
) -> None:
    sample = corrupt(window, applied, key, shuffle=True)
    _, found = OBJECTIVES[applied.objective.kind].form.restore(sample, applied)
    assert min(span.start for span in found) >= window.first
    assert 0 <= sample.positions.min() <= sample.positions.max() <= applied.window_tokens
    assert len(sample.tokens) <= max_sample_tokens(len(window.tokens), applied.objective)


def test_noise_replaces_inputs_of_part_b_alone() -> None:
    rules = Rules(ObjectiveConfig(kind="blank", noise_ratio=1.0), SPECIAL, VOCAB_SIZE, 512)
    sample = corrupt(long_window(), rules, 5, shuffle=True)
    inputs = sample.tokens[sample.boundary :]
    assert set(inputs.tolist()) == {SPECIAL.noise, SPECIAL.start}
    assert SPECIAL.noise not in sample.labels


def test_random_positions_shift_a_sample_as_a_whole() -> None:
    plain = Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, 512)
    shifted = Rules(ObjectiveConfig(kind="blank", random_positions=True), SPECIAL, VOCAB_SIZE, 512)
    offsets = set()
    for key in range(50):
        a, b = (corrupt(long_window(), rules, key, True) for rules in (plain, shifted))
        offsets |= set((b.positions - a.positions).tolist())
        assert len(set((b.positions - a.positions).tolist())) == 1
    assert len(offsets) > 25


def test_80_10_10_is_drawn_per_span() -> None:
    config = ObjectiveConfig(kind="masked_tokens", replace_ratio=0.8, random_ratio=0.1)
    rules, kinds = Rules(config, SPECIAL, VOCAB_SIZE, 512), Counter()
    for key in range(300):
        sample = corrupt(long_window(), rules, key, True)
        masked = sample.labels != IGNORE_INDEX
        tokens, labels = sample.tokens[masked], sample.labels[masked]
        assert not np.isin(tokens[tokens != SPECIAL.mask], SPECIAL.ids(VOCAB_SIZE)).any()
        kinds.update(
            np.where(
                tokens == SPECIAL.mask, "mask", np.where(tokens == labels, "kept", "random")
            ).tolist()
        )
    total = sum(kinds.values())
    for kind, ratio in {"mask": 0.8, "random": 0.1, "kept": 0.1}.items():
        assert abs(kinds[kind] / total - ratio) < 0.02, kinds


def long_window() -> Window:
    tokens = np.arange(10, 210, dtype=np.int32)
    return Window(tokens, 0, 200, np.array([200]), 0, 0, 200)


def test_part_b_is_in_a_random_order_unless_shuffling_is_off() -> None:
    key = document_key(1, 0, "a")
    rules = Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, 512)
    for shuffle in (True, False):
        sample = corrupt(long_window(), rules, key, shuffle)
        part_b = sample.positions[sample.boundary :]
        assert (part_b.tolist() == sorted(part_b.tolist())) is not shuffle
