"""Spans read back: what the rule of the objective allows, and what a key draws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.assemble import Rules
from pipeline.objectives import draw_spans
from pipeline.sample_checks.span_laws import check_drawn, check_spans
from pipeline.window_batch import WindowBatch
from schemas.build_config import ObjectiveConfig
from schemas.samples import Span, Window
from tests import strategies
from tests.sample_rows import ENGINE
from tests.strategies import KEYS, SPECIAL, VOCAB_SIZE
from tests.window_batches import batch_of, span_batch

Pairs = list[tuple[int, int]]


def rules_of(kind: str, **keys: float) -> Rules:
    return Rules(ObjectiveConfig(kind=kind, **keys), SPECIAL, VOCAB_SIZE, 1024)


def plain(size: int, number: int) -> WindowBatch:
    """A framed window of `size` tokens, as it is read back: without prompt and sentences."""
    text = np.full(size, 20, np.int32)
    text[[0, -1]] = SPECIAL.cls, SPECIAL.eos
    ends = np.array([size - 1], np.int64)
    return batch_of([Window(text, 1, size - 1, ends, number, 50, 48 + size)], [7])


def keeps(rules: Rules, size: int, spans: Pairs, number: int = 1, shuffle: bool = True) -> bool:
    windows = plain(size, number)
    ends = np.unique(np.array(spans).reshape(-1)) - 1
    stops = np.array([len(ends)])
    first = np.searchsorted(ends, [0], side="right")
    windows = replace(windows, sentence_ends=ends, first_ends=first, stop_ends=stops)
    found = span_batch([[Span(*pair) for pair in spans]])
    holds, what = check_spans(windows, found, rules, shuffle)
    expected = f"spans {spans} of a window of {size} tokens: expected what the rule of "
    assert what(0) == f"{expected}{rules.objective.kind!r} allows"
    return bool(holds[0])


@given(strategies.rules(), strategies.windows(min_maskable=3), KEYS, st.booleans())
def test_what_is_drawn_in_any_window_is_lawful_without_its_prompt_and_sentences(
    rules: Rules, window: Window, key: int, shuffle: bool
) -> None:
    spans = draw_spans(window, rules.objective, key, shuffle)
    number = 0 if window.prompt else window.number
    windows = batch_of([replace(window, number=number)], [key])
    places = np.unique(np.array(spans).reshape(-1)) - int(windows.cls)
    ends = places[places > 0]
    read_back = replace(
        windows,
        prompts=np.zeros(1, np.int64),
        sentence_ends=ends,
        first_ends=np.zeros(1, np.int64),
        stop_ends=np.array([len(ends)]),
    )
    assert check_spans(read_back, span_batch([spans]), rules, shuffle)[0].all()


@pytest.mark.parametrize(
    ("kind", "spans"),
    [
        ("blank", [(1, 4), (4, 7)]),
        ("blank", [(1, 4)]),
        ("blank", [(0, 6)]),
        ("blank", [(30, 33), (36, 40)]),
        ("blank", [(1, 4), (10, 13), (20, 23)]),
        ("blank", [(5, 9), (7, 12)]),
        ("sentence", [(1, 4), (10, 13), (20, 23)]),
        ("document", [(1, 9)]),
        ("document", [(1, 20), (22, 30)]),
        ("prefix", [(25, 39)]),
        ("prefix", [(30, 40)]),
        ("prefix", [(1, 40)]),
        ("causal_lm", [(2, 40)]),
        ("masked_tokens", [(3, 4), (5, 6), (8, 9)]),
        ("masked_tokens", [(3, 5), (5, 7), (8, 10)]),
        ("sentinel_spans", [(1, 3)]),
    ],
)
def test_spans_that_no_sampler_draws_are_told(kind: str, spans: Pairs) -> None:
    assert not keeps(rules_of(kind), 40, spans)


@pytest.mark.parametrize(
    ("kind", "spans"),
    [
        ("blank", [(1, 4), (5, 8)]),
        ("sentence", [(1, 4), (10, 13)]),
        ("document", [(1, 39)]),
        ("prefix", [(20, 40)]),
        ("causal_lm", [(1, 40)]),
        ("masked_tokens", [(n, n + 1) for n in range(3, 9)]),
    ],
)
def test_spans_as_samplers_draw_them_are_lawful(kind: str, spans: Pairs) -> None:
    assert keeps(rules_of(kind), 40, spans)


def test_part_b_is_in_order_unless_it_may_be_shuffled() -> None:
    spans = [(9, 12), (1, 4)]
    assert keeps(rules_of("blank"), 40, spans)
    assert not keeps(rules_of("blank"), 40, spans, shuffle=False)
    assert not keeps(rules_of("sentinel_spans"), 40, spans)


@pytest.mark.parametrize(
    ("kind", "spans"), [("causal_lm", [(9, 40)]), ("masked_tokens", [(37, 38), (38, 39)])]
)
def test_only_the_first_window_of_a_document_may_have_a_prompt(kind: str, spans: Pairs) -> None:
    assert keeps(rules_of(kind), 40, spans, number=0)
    assert not keeps(rules_of(kind), 40, spans, number=1)


@pytest.mark.parametrize("kind", ["blank", "document", "masked_tokens", "prefix_lm"])
def test_a_key_draws_other_spans_than_those_of_another(kind: str) -> None:
    rules, windows = rules_of(kind), plain(300, 3)
    drawn = ENGINE.draw(windows, [rules], True)
    assert check_drawn(windows, drawn, drawn, rules)[0].all()
    others = ENGINE.draw(replace(windows, keys=windows.keys + np.uint64(1)), [rules], True)
    holds, what = check_drawn(windows, others, drawn, rules)
    assert not holds[0]
    pairs = [[(span.start, span.stop) for span in one.of(0)] for one in (others, drawn)]
    assert what(0) == f"spans {pairs[0]}: expected {pairs[1]}, which the document's key draws"


def test_what_hangs_on_prompts_and_sentences_is_not_compared_with_draws() -> None:
    one, other = span_batch([[Span(3, 9)]]), span_batch([[Span(4, 9)]])
    for kind, number, is_compared in (
        ("blank", 1, True),
        ("blank", 0, False),
        ("sentence", 1, False),
    ):
        assert check_drawn(plain(40, number), one, other, rules_of(kind))[0][0] != is_compared
