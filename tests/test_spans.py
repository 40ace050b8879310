"""Spans: inside the window, apart, covering what the objective promises, and of its law."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.checks import check_vocabulary
from pipeline.objectives import OBJECTIVES as TABLE
from pipeline.objectives import draw_spans
from pipeline.randomness import document_key, length_thresholds
from pipeline.spans import target_tokens
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.errors import ConfigError
from schemas.samples import Span, Window
from tests.strategies import KEYS, OBJECTIVES, SPECIAL, windows

BLANK = ObjectiveConfig(kind="blank")


def plain_window(length: int, number: int = 0) -> Window:
    tokens = np.arange(length + 2, dtype=np.int32)
    ends = np.array([length + 1])
    return Window(tokens, 1, length + 1, ends, number, 0, length)


@given(windows(), OBJECTIVES, KEYS, st.booleans())
def test_spans_lie_behind_the_prompt_and_never_overlap(
    window: Window, objective: ObjectiveConfig, key: int, shuffle: bool
) -> None:
    spans = draw_spans(window, objective, key, shuffle)
    ascending = sorted(spans)
    hides_eos = TABLE[objective.kind].form.hides_eos
    assert spans
    assert ascending[0].start >= window.first
    assert ascending[-1].stop <= (len(window.tokens) if hides_eos else window.last)
    assert all(span.start < span.stop for span in spans)
    assert all(a.stop <= b.start for a, b in itertools.pairwise(ascending))
    assert shuffle or spans == ascending


@given(windows(), st.floats(0.01, 0.5), st.floats(0.5, 20), KEYS)
def test_blanks_keep_a_token_between_neighbours_and_cover_the_target(
    window: Window, mask_ratio: float, mean: float, key: int
) -> None:
    objective = ObjectiveConfig(kind="blank", mask_ratio=mask_ratio, mean_span_tokens=mean)
    spans = sorted(draw_spans(window, objective, key, True))
    masked = sum(span.stop - span.start for span in spans)
    assert all(a.stop < b.start for a, b in itertools.pairwise(spans))
    assert masked < window.last - window.first + (window.prompt > 0)
    # Tiny windows with a framing that counts towards the target can keep only one token.
    room = (window.last - window.first) // 2
    assert masked >= min(int(mask_ratio * len(window.tokens)), room)


@given(windows(min_maskable=2), KEYS)
def test_blanks_of_glm_cover_at_least_15_percent(window: Window, key: int) -> None:
    assume(not window.prompt)  # which counts towards the target, but cannot be hidden
    spans = draw_spans(window, BLANK, key, True)
    masked = sum(span.stop - span.start for span in spans)
    assert masked >= int(0.15 * len(window.tokens))


@given(windows(), KEYS)
def test_sentence_spans_are_whole_sentences_and_reach_the_target(window: Window, key: int) -> None:
    edges = [window.first, *window.sentence_ends.tolist()]
    sentences = {Span(a, b) for a, b in itertools.pairwise(edges)}
    spans = draw_spans(window, ObjectiveConfig(kind="sentence"), key, True)
    masked = sum(span.stop - span.start for span in spans)
    assert set(spans) <= sentences
    assert masked >= int(0.15 * len(window.tokens)) or len(spans) == len(sentences)
    without_last_drawn = masked - max(span.stop - span.start for span in spans)
    assert without_last_drawn < target_tokens(len(window.tokens), 0.15)


@given(windows(), st.floats(0, 1), KEYS)
def test_a_document_span_is_at_least_its_share_of_the_window(
    window: Window, min_span_ratio: float, key: int
) -> None:
    objective = ObjectiveConfig(kind="document", min_span_ratio=min_span_ratio)
    (span,) = draw_spans(window, objective, key, True)
    maskable = window.last - window.first
    assert span.stop - span.start >= min(int(min_span_ratio * len(window.tokens)), maskable)


@given(windows(), OBJECTIVES, KEYS)
def test_the_same_key_gives_the_same_spans(
    window: Window, objective: ObjectiveConfig, key: int
) -> None:
    assert draw_spans(window, objective, key, True) == draw_spans(window, objective, key, True)


def test_span_lengths_follow_the_truncated_poisson_law() -> None:
    counts: Counter[int] = Counter()
    for number in range(300):
        spans = draw_spans(plain_window(510, number), BLANK, document_key(1, 0, "law"), True)
        counts.update(span.stop - span.start for span in spans)
    total, thresholds = sum(counts.values()), [0, *length_thresholds("poisson", 3.0, 39)]
    expected = [total * (b - a) / 2**32 for a, b in itertools.pairwise(thresholds)]
    chi_square = sum((counts[n + 1] - expected[n]) ** 2 / expected[n] for n in range(8))
    assert total > 7000
    assert chi_square < 40  # 8 degrees of freedom: p is 3e-6


def test_blank_places_reach_both_ends_of_the_window() -> None:
    spans = [sorted(draw_spans(plain_window(40, number), BLANK, 7, True)) for number in range(400)]
    assert min(span[0].start for span in spans) == 1
    assert max(span[-1].stop for span in spans) == 41


@pytest.mark.parametrize("length", [2, 3, 4, 7])
def test_short_windows_still_give_a_sample(length: int) -> None:
    for kind in TABLE:
        spans = draw_spans(plain_window(length), ObjectiveConfig(kind=kind), 5, True)
        assert spans, kind


def test_a_form_says_whether_it_needs_sentinels(monkeypatch: pytest.MonkeyPatch) -> None:
    line, none = TABLE["blank"], replace(SPECIAL, num_sentinels=0)
    for names, sentinels, needs in (
        ({"has_sentinels": True, "is_shuffled": False}, False, True),
        ({"can_have_sentinels": True, "is_shuffled": False}, True, True),
        ({"can_have_sentinels": True, "is_shuffled": False}, False, False),
        ({"is_shuffled": True}, True, False),
    ):
        absent = {"has_sentinels": False, "can_have_sentinels": False}
        monkeypatch.setitem(TABLE, "new", replace(line, form=replace(line.form, **absent | names)))
        config = BuildConfig(objective={"new": ObjectiveConfig(kind="new")}, sentinels=sentinels)
        if needs:
            with pytest.raises(ConfigError, match="the tokenizer has 0 sentinels"):
                check_vocabulary(config, none)
        else:
            check_vocabulary(config, none)
