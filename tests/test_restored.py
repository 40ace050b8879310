"""Restoring many samples gives what restoring each gives; damage is told and never raised."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import objectives
from pipeline.assemble import Rules
from pipeline.laws.laws import TOKENS
from pipeline.objectives import OBJECTIVES
from pipeline.packing import decode_row
from pipeline.sample_checks import restored
from pipeline.sample_checks.restored import restore_many
from pipeline.sample_checks.restored_columns import Columns
from pipeline.window_batch import edges_of
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample, Span
from tests import strategies
from tests.sample_rows import pack

KNOWN = strategies.OBJECTIVES.filter(lambda one: one.kind != "instruction")


def columns_of(samples: list[Sample]) -> Columns:
    names = ("tokens", "labels", "positions")
    flat = [np.concatenate([getattr(one, name) for one in samples]) for name in names]
    sizes = np.array([len(one.tokens) for one in samples], np.int64)
    boundaries = np.array([one.boundary for one in samples], np.int64)
    return Columns(*(column.astype(np.int64) for column in flat), edges_of(sizes), boundaries)


def samples_of(
    objective: ObjectiveConfig, seed: int = 1, **options: bool
) -> tuple[list[Sample], Rules]:
    """A dozen and more samples of one objective, and its rules."""
    config = BuildConfig(
        objective={"only": objective}, window_tokens=96, row_tokens=300, max_samples=6, **options
    )
    packed = pack(config, documents=8, tokens=250, seed=seed)
    rows = packed.arrays.rows
    return [one for row in rows for one in decode_row(row, packed.row_format)], packed.rules[0]


def singles(spans: list[Span]) -> list[Span]:
    return [Span(place, place + 1) for start, stop in spans for place in range(start, stop)]


@given(KNOWN, st.integers(1, 99), st.booleans(), st.booleans())
def test_many_samples_restore_as_each_does(
    objective: ObjectiveConfig, seed: int, sentinels: bool, eos: bool
) -> None:
    samples, rules = samples_of(objective, seed, sentinels=sentinels, add_eos=eos)
    fine, found = restore_many(columns_of(samples), rules)
    assert fine.all()
    line = OBJECTIVES[objective.kind]
    for index, (start, stop) in enumerate(pairwise(found.edges.tolist())):
        window, spans = line.form.restore(samples[index], rules)
        assert found.tokens[start:stop].tolist() == window.tolist()
        assert found.spans.of(index) == (singles(spans) if line.law is TOKENS else spans)


@pytest.mark.parametrize("kind", sorted(OBJECTIVES))
def test_a_sample_that_cannot_be_read_leaves_the_others_as_they_are(kind: str) -> None:
    if kind == "instruction":
        return  # as prefix
    samples, rules = samples_of(ObjectiveConfig(kind=kind))
    whole = restore_many(columns_of(samples), rules)[1]
    for damaged in (0, 3, len(samples) - 1):
        columns = columns_of(samples)
        inside = slice(*columns.edges[damaged : damaged + 2].tolist())
        columns.labels[inside] = IGNORE_INDEX
        columns.boundaries[damaged] = 0
        fine, found = restore_many(columns, rules)
        others = np.flatnonzero(np.arange(len(samples)) != damaged)
        assert np.flatnonzero(fine).tolist() == others.tolist()
        expected = whole.part(others)
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        np.testing.assert_array_equal(found.edges, expected.edges)
        assert [found.spans.of(n) for n in range(3)] == [expected.spans.of(n) for n in range(3)]


def test_where_no_sample_can_be_read_there_are_no_windows() -> None:
    samples, rules = samples_of(ObjectiveConfig(kind="blank"))
    columns = columns_of(samples)
    columns.tokens[:] = 9
    fine, found = restore_many(columns, rules)
    assert not fine.any()
    assert found.edges.tolist() == found.spans.edges.tolist() == [0]
    assert len(found.tokens) == 0


@pytest.mark.parametrize("kind", ["blank", "sentinel_spans", "document"])
def test_two_spans_never_have_one_mask(kind: str) -> None:
    samples, rules = samples_of(ObjectiveConfig(kind=kind))
    columns = columns_of(samples)
    first = int(columns.seams[0])
    stop = int(columns.edges[1])
    columns.labels[first + 1 : stop] = np.resize(
        columns.labels[[first, stop - 1]], stop - first - 1
    )
    assert not restore_many(columns, rules)[0][0]


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("blank", "tokens", 9),
        ("causal_lm", "labels", IGNORE_INDEX),
        ("sentinel_spans", "tokens", 9),
    ],
)
def test_a_form_that_is_not_known_is_restored_one_by_one(
    kind: str, column: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, rules = samples_of(ObjectiveConfig(kind=kind))
    columns = columns_of(samples)
    getattr(columns, column)[columns.edges[2] : columns.edges[3]] = value
    fine, known = restore_many(columns, rules)
    monkeypatch.delitem(restored.RESTORERS, objectives.OBJECTIVES[kind].form.restore)
    slowly, found = restore_many(columns, rules)
    others = [number for number in range(len(samples)) if number != 2]
    assert np.flatnonzero(fine).tolist() == np.flatnonzero(slowly).tolist() == others
    np.testing.assert_array_equal(known.tokens, found.tokens)
    np.testing.assert_array_equal(known.edges, found.edges)
    assert all(known.spans.of(n) == found.spans.of(n) for n in range(len(others)))
