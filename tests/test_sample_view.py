"""Views: a sample restored, its spans found in both parts, its text without what acts."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.pages.inspect_page import render_page
from jobs.sample_view import view_sample
from jobs.visible import visible
from pipeline.assemble import Rules, assemble_blanks
from pipeline.objectives import OBJECTIVES, Form, corrupt, draw_spans
from pipeline.restore import restore_blanks
from schemas.build_config import ObjectiveConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample, Span, Window
from tests import strategies
from tests.strategies import FIRST_TEXT_TOKEN, SPECIAL, VOCAB_SIZE
from tests.views import ACTING, HOSTILE, ORIGIN, WORDS, Words, printed, row_of, view_of


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
    assert places_in(span.hidden for span in view.spans) == places_in(drawn)
    if view.form.is_shuffled:
        assert [span.hidden for span in view.spans] == drawn
    for span in view.spans:
        hidden = window.tokens[slice(*span.hidden)].tolist()
        labels = sample.labels[slice(*span.labels)].tolist()
        inputs = sample.tokens[slice(*span.inputs)].tolist()
        assert hidden in (labels, labels[:-1], labels[1:])
        if rules.objective.noise_ratio == 0:
            assert words(inputs) in (words(hidden), words(hidden[:-1])) or not inputs
        assert span.blank.stop <= sample.boundary <= span.inputs.start
        assert (view.owners == span.number).sum() == len(
            inputs
        ) + span.blank.stop - span.blank.start
    is_labelled, is_owned = sample.labels != IGNORE_INDEX, view.label_owners > 0
    assert not np.any(is_owned & ~is_labelled)
    assert sample.labels[is_labelled & ~is_owned].tolist() in ([], [SPECIAL.end])


def places_in(spans: Iterable[Span]) -> list[int]:
    return sorted(place for span in spans for place in range(*span))


def words(tokens: list[int]) -> list[int]:
    return [token for token in tokens if token in range(FIRST_TEXT_TOKEN, SPECIAL.first_sentinel)]


def test_a_form_says_itself_where_its_spans_are_and_what_is_particular() -> None:
    """A new form is shown without a change of what shows it."""
    objective = ObjectiveConfig(kind="new")
    form = replace(OBJECTIVES["document"].form, note="Never seen before.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OBJECTIVES, "new", replace(OBJECTIVES["document"], form=form))
        view = view_of(objective)
        assert len(view.spans) == 1
        assert "Never seen before." in render_page(row_of(view))


def test_a_form_without_all_that_is_needed_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="'locate', 'size', 'part_b', 'labels', 'masks', and 'note"):
        Form(assemble=assemble_blanks, restore=restore_blanks)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("a.jsonl.gz", "bytes 2..3"),
        ("a.tar", "bytes 2..3"),
        ("b/a.PARQUET", "rows 2..3"),
        ("a.feather", "rows 2..3"),
    ],
)
def test_a_place_in_a_table_is_told_in_rows(source: str, place: str) -> None:
    view = view_of(ObjectiveConfig(kind="blank"))
    row = row_of(replace(view, origin=view.origin._replace(source=source, start=2, stop=3)))
    assert f"{source}, {place}" in printed(row)
    assert f"{source}, {place}" in render_page(row)


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
