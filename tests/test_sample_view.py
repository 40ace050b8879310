"""Views: a sample restored, its spans found in both parts, its text without what acts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.sample_view import view_sample
from jobs.visible_text import visible
from pipeline.assemble import Rules
from pipeline.objectives import OBJECTIVES, corrupt, draw_spans
from schemas.build_config import ObjectiveConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample, Window
from tests import strategies
from tests.strategies import SPECIAL, VOCAB_SIZE
from tests.views import ACTING, HOSTILE, ORIGIN, WORDS, Words, printed, row_of

MORE_INPUTS = {"blanks": 1, "sentinels": 1, "prefix": 0, "next_token": -1, "prefix_lm": -1}
"""Form -> tokens that a span has in part B beyond those it hides, where there is a part B."""


class Silent(Words):
    """Texts that are not heard: everything decodes to nothing."""

    def _decode_pieces(self, ids: list[int]) -> str:
        return ""


@given(strategies.windows(max_maskable=80), strategies.rules(), strategies.KEYS)
def test_a_view_restores_the_window_and_says_where_its_spans_are(
    window: Window, rules: Rules, key: int
) -> None:
    sample = corrupt(window, rules, key, shuffle=True)
    view = view_sample(sample, "name", rules, ORIGIN, WORDS)
    assert view.window.tolist() == window.tokens.tolist()
    drawn = draw_spans(window, rules.objective, key, shuffle=True)
    assert view.num_hidden == sum(stop - start for start, stop in drawn)
    if OBJECTIVES[rules.objective.kind].form.name not in ("in_place", "sentinels"):
        assert [span.hidden for span in view.spans] == drawn
    for span in view.spans:
        hidden = window.tokens[slice(*span.hidden)].tolist()
        labels = sample.labels[slice(*span.labels)].tolist()
        inputs = sample.tokens[slice(*span.inputs)].tolist()
        assert hidden in (labels, labels[:-1], labels[1:])
        assert len(inputs) - len(hidden) == MORE_INPUTS.get(view.form, -len(hidden))
        assert (view.owners == span.number).sum() == len(
            inputs
        ) + span.blank.stop - span.blank.start
    labelled = view.label_owners > 0
    assert not np.any(labelled & (sample.labels == IGNORE_INDEX))
    assert (sample.labels != IGNORE_INDEX).sum() - labelled.sum() == (view.form == "sentinels")


@given(strategies.windows(max_maskable=80), strategies.rules(), strategies.KEYS)
def test_the_runs_of_a_text_are_its_visible_text_and_its_hidden_parts(
    window: Window, rules: Rules, key: int
) -> None:
    tokenizer = Words([*HOSTILE, " a", "b"])
    sample = corrupt(window, rules, key, shuffle=True)
    view = view_sample(sample, "name", rules, ORIGIN, tokenizer)
    runs = view.text()
    plain = "".join(run.text for run in runs if not run.is_special)
    assert plain == visible(tokenizer.decode(window.tokens.tolist()))
    for span in view.spans:
        ids = window.tokens[slice(*span.hidden)].tolist()
        shown = "".join(r.text for r in runs if r.span == span.number and not r.is_special)
        assert shown == visible(tokenizer.decode(ids))


def test_a_masked_word_is_told_from_a_kept_and_a_replaced_one() -> None:
    tokens = [SPECIAL.cls, 10, SPECIAL.mask, 12, 13, 14, 15, SPECIAL.eos]
    labels = np.full(8, IGNORE_INDEX)
    labels[[2, 4, 6]] = 11, 13, 30
    columns = np.array([tokens, labels, range(8), [0] * 8], np.int32)
    rules = Rules(ObjectiveConfig(kind="masked_tokens"), SPECIAL, VOCAB_SIZE, 64)
    view = view_sample(Sample(*columns, boundary=8), "name", rules, ORIGIN, WORDS)
    assert [view.fate(span) for span in view.spans] == ["masked", "kept", "replaced at random"]
    assert "w6 (replaced at random)  →   w21" in printed(row_of(view))


@given(st.text())
def test_visible_text_has_no_character_that_acts(text: str) -> None:
    shown = visible(text)
    assert not ACTING.search(shown)
    assert visible("a\u202eb\x1b") == "a<U+202E>b<U+001B>"
    assert visible(shown) == shown


def test_a_span_without_text_of_its_own_shows_its_tokens() -> None:
    tokens = [SPECIAL.cls, 10, SPECIAL.mask, 12, SPECIAL.eos]
    labels = [IGNORE_INDEX, IGNORE_INDEX, 11, IGNORE_INDEX, IGNORE_INDEX]
    columns = np.array([tokens, labels, range(5), [0] * 5], np.int32)
    rules = Rules(ObjectiveConfig(kind="masked_tokens"), SPECIAL, VOCAB_SIZE, 64)
    sample = Sample(*columns, boundary=5)
    view = view_sample(sample, "name", rules, ORIGIN, Silent(["a", "b", "\u2581"]))
    assert [run.text for run in view.predicts(view.spans[0])] == ["\u2581"]
