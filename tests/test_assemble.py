"""Samples: the reference's arrays exactly, and a window that can be restored from every one."""

import json
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from pipeline.assemble import assemble, assemble_in_place, restore
from pipeline.randomness import document_key
from pipeline.samples import corrupt
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample, Span, Window
from tests.oracle import UNSUPPORTED_VARIANTS, oracle_path
from tests.strategies import KEYS, OBJECTIVES, SPECIAL, windows, windows_with_spans


def sample_cases() -> list[dict[str, Any]]:
    content = json.loads(oracle_path("sample_cases.json").read_text(encoding="utf-8"))
    return [case | {"special": content["special"]} for case in content["cases"]]


def supported(case: dict[str, Any]) -> bool:
    return case.get("variant") not in UNSUPPORTED_VARIANTS


def sample_of(case: dict[str, Any]) -> Sample:
    special = case["special"]
    window, mask = np.array(case["window"], np.int32), special[case.get("mask", "mask")]
    if case["objective"] == "mlm":
        return assemble_in_place(window, [Span(*span) for span in case["spans"]], mask)
    spans = [Span(*case["spans"][index]) for index in case["order"]]
    return assemble(window, spans, mask, special["start"], special["end"])


@pytest.mark.oracle
@pytest.mark.parametrize(
    "case", [*filter(supported, sample_cases())], ids=lambda case: case["name"]
)
def test_a_sample_equals_the_reference(case: dict[str, Any]) -> None:
    sample = sample_of(case)
    assert sample.boundary == case["boundary"]
    for name in ("tokens", "labels", "positions", "block_positions"):
        expected = case.get(name, [0] * len(sample.tokens))
        np.testing.assert_array_equal(getattr(sample, name), expected, err_msg=name)


@pytest.mark.oracle
def test_only_variants_that_are_listed_are_left_out() -> None:
    left_out = [case["variant"] for case in sample_cases() if not supported(case)]
    assert len(left_out) < len(sample_cases())
    assert set(left_out) == UNSUPPORTED_VARIANTS or "BLANKSTREAM_ORACLE_DIR" in os.environ


@given(windows_with_spans())
def test_a_sample_restores_its_window_and_spans(drawn: tuple[Window, list[Span]]) -> None:
    window, spans = drawn
    sample = assemble(window.tokens, spans, SPECIAL.mask, SPECIAL.start, SPECIAL.end)
    tokens, found = restore(sample, SPECIAL.mask)
    np.testing.assert_array_equal(tokens, window.tokens)
    assert found == spans


@given(windows_with_spans())
def test_a_sample_equals_the_slow_obvious_one(drawn: tuple[Window, list[Span]]) -> None:
    window, spans = drawn
    sample = assemble(window.tokens, spans, SPECIAL.mask, SPECIAL.start, SPECIAL.end)
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


@given(windows(), OBJECTIVES, KEYS)
def test_every_objective_gives_a_sample_that_restores_its_window(
    window: Window, objective: ObjectiveConfig, key: int
) -> None:
    sample = corrupt(window, objective, key, BuildConfig(), SPECIAL)
    tokens, spans = restore(sample, SPECIAL.mask_id(objective.mask))
    np.testing.assert_array_equal(tokens, window.tokens)
    labels = (sample.labels != IGNORE_INDEX).sum()
    if objective.kind == "masked_lm":
        assert len(sample.tokens) == len(window.tokens) == sample.boundary
        assert labels == sum(span.stop - span.start for span in spans)
    else:
        assert len(sample.tokens) == len(window.tokens) + 2 * len(spans)
        assert labels == len(sample.tokens) - sample.boundary


def test_part_b_is_in_a_random_order_unless_shuffling_is_off() -> None:
    tokens = np.arange(10, 210, dtype=np.int32)
    window = Window(tokens, 0, 200, np.array([200]), 0, 0, 200)
    key, blank = document_key(1, 0, "a"), ObjectiveConfig(kind="blank")
    for shuffle in (True, False):
        sample = corrupt(window, blank, key, BuildConfig(shuffle_spans=shuffle), SPECIAL)
        part_b = sample.positions[sample.boundary :]
        assert (part_b.tolist() == sorted(part_b.tolist())) is not shuffle
