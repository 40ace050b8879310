"""Laws: every sampler follows its own, and one that draws otherwise is found."""

from itertools import accumulate, pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import spans as samplers
from pipeline.assemble import Rules
from pipeline.engines.choice import choose_engine
from pipeline.laws.goodness_of_fit import compare
from pipeline.laws.laws import Tally, first_sentences
from pipeline.laws.lengths import UNIT, is_unconditional
from pipeline.objectives import OBJECTIVES as TABLE
from pipeline.window_batch import SpanBatch, WindowBatch
from schemas.build_config import ObjectiveConfig
from schemas.samples import Span, Window
from tests.strategies import KEYS, SPECIAL, VOCAB_SIZE, windows
from tests.window_batches import batch_of, drawn, random_batch, span_batch

BATCH = random_batch(6000)
ENGINE = choose_engine("batched")

DECLARED = [
    ObjectiveConfig(kind="blank"),
    ObjectiveConfig(kind="blank", single_span_ratio=0.2),
    ObjectiveConfig(kind="blank", mask_ratio=0.5),
    ObjectiveConfig(kind="blank", mean_span_tokens=32.0, max_span_tokens=96),
    ObjectiveConfig(kind="masked_lm", span_lengths="geometric", max_span_tokens=10),
    ObjectiveConfig(kind="sentinel_spans"),
    ObjectiveConfig(kind="masked_tokens"),
    ObjectiveConfig(kind="sentence"),
    ObjectiveConfig(kind="sentence", mask_ratio=0.4),
    ObjectiveConfig(kind="document"),
    ObjectiveConfig(kind="document", min_span_ratio=0.0),
    ObjectiveConfig(kind="prefix"),
    ObjectiveConfig(kind="prefix_lm", min_span_ratio=0.25),
]


def draw(windows: WindowBatch, objective: ObjectiveConfig) -> SpanBatch:
    return ENGINE.draw(windows, [Rules(objective, SPECIAL, VOCAB_SIZE, 1024)], True)


def tallies(spans: SpanBatch, objective: ObjectiveConfig) -> dict[str, Tally]:
    law = TABLE[objective.kind].law
    assert law is not None
    found = {name: count(drawn(BATCH, spans), objective) for name, count in law.tallies.items()}
    return {name: tally for name, tally in found.items() if tally is not None}


def refused(spans: SpanBatch, objective: ObjectiveConfig) -> list[str]:
    return [
        name
        for name, tally in tallies(spans, objective).items()
        if compare(tally.observed.tolist(), tally.expected.tolist()).is_refused
    ]


@pytest.mark.parametrize("objective", DECLARED, ids=str)
def test_what_a_sampler_draws_follows_its_law(objective: ObjectiveConfig) -> None:
    found = tallies(draw(BATCH, objective), objective)
    assert found
    for tally in found.values():
        assert tally.windows > 1500
        assert compare(tally.observed.tolist(), tally.expected.tolist()).log10_p > -3.5


@pytest.mark.parametrize("kind", TABLE)
def test_the_rule_of_every_kind_holds_in_every_window(kind: str) -> None:
    for objective in (ObjectiveConfig(kind=kind), ObjectiveConfig(kind=kind, mask_ratio=0.5)):
        law, found = TABLE[kind].law, drawn(BATCH, draw(BATCH, objective))
        assert found.is_sound().all()
        assert law is None or law.holds(found, objective).all()


@pytest.mark.parametrize(
    ("declared", "drawn_as", "law"),
    [
        ({"kind": "blank"}, {"max_span_tokens": 3}, "span_lengths"),
        ({"kind": "blank"}, {"mean_span_tokens": 3.5}, "span_lengths"),
        ({"kind": "blank"}, {"span_lengths": "geometric"}, "span_lengths"),
        ({"kind": "blank", "single_span_ratio": 0.3}, {"single_span_ratio": 0.1}, "single_spans"),
        ({"kind": "document"}, {"min_span_ratio": 0.7}, "span_lengths"),
        ({"kind": "prefix"}, {"min_span_ratio": 0.6}, "span_lengths"),
        ({"kind": "prefix_lm"}, {"min_span_ratio": 0.8}, "span_lengths"),
    ],
)
def test_another_law_than_the_declared_one_is_refused(
    declared: dict[str, object], drawn_as: dict[str, object], law: str
) -> None:
    spans = draw(BATCH, ObjectiveConfig(**(declared | drawn_as)))  # type: ignore[arg-type]
    assert refused(spans, ObjectiveConfig(**declared)) == [law]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["blank", "document"])
def test_spans_pushed_to_the_start_are_refused(kind: str) -> None:
    objective = ObjectiveConfig(kind=kind)
    found = drawn(BATCH, draw(BATCH, objective))
    starts = found.windows.first[found.owners] + found.hidden_before + found.numbers
    pushed = SpanBatch(starts, starts + found.lengths, found.edges)
    assert refused(pushed, objective) == ["places"]


@pytest.mark.parametrize("order", [1, -1])
def test_sentences_taken_in_the_order_of_the_text_are_refused(order: int) -> None:
    objective, found = ObjectiveConfig(kind="sentence"), []
    for index in range(len(BATCH)):
        window = BATCH.window(index, SPECIAL)
        edges = [window.first, *window.sentence_ends.tolist()]
        found.append(taken([Span(a, b) for a, b in pairwise(edges)][::order], window, objective))
    assert refused(span_batch(found), objective) == ["first_sentences"]


def taken(sentences: list[Span], window: Window, objective: ObjectiveConfig) -> list[Span]:
    """The sentences up to the one that covers the target."""
    covered = [0, *accumulate(span.stop - span.start for span in sentences)]
    target = samplers.target_tokens(len(window.tokens), objective.mask_ratio)
    return [span for span, before in zip(sentences, covered, strict=False) if before < target]


@pytest.mark.parametrize("lengths", [(5, 9, 7, 4, 12), (30, 2, 2, 3, 1), (9, 9, 9, 9, 9)])
@pytest.mark.parametrize("mask_ratio", [0.15, 0.3, 0.5])
def test_the_first_sentence_is_uniform_over_all_orders_exactly(
    lengths: tuple[int, ...], mask_ratio: float
) -> None:
    objective = ObjectiveConfig(kind="sentence", mask_ratio=mask_ratio)
    ends = np.cumsum(lengths) + 1
    size = int(ends[-1])
    window = Window(np.arange(size + 1, dtype=np.int32), 1, size, ends, 0, 0, size - 1)
    sentences = [Span(a, b) for a, b in pairwise([1, *ends.tolist()])]
    orders = list(permutations(sentences))
    batch = batch_of([window] * len(orders), range(len(orders)))
    found = span_batch([taken(list(order), window, objective) for order in orders])
    tally = first_sentences(drawn(batch, found), objective)
    assert tally.windows == len(orders)
    assert abs(tally.observed - tally.expected).max() < len(orders) * len(lengths)
    assert abs(tally.observed.sum() - len(orders) * UNIT) < len(orders) * len(lengths)


@given(
    windows(min_maskable=30),
    st.sampled_from([0.15, 0.3, 0.5]),
    st.sampled_from([1.0, 3.0, 10.0, 40.0]),
    KEYS,
)
def test_no_length_is_shortened_where_the_law_is_unconditional(
    window: Window, mask_ratio: float, mean: float, key: int
) -> None:
    objective = ObjectiveConfig(kind="blank", mask_ratio=mask_ratio, mean_span_tokens=mean)
    found = drawn(batch_of([window], [key]), span_batch([[Span(window.first, window.last)]]))
    if is_unconditional(found, objective)[0]:
        room = window.last - window.first
        shortened = samplers._draw_lengths(window, objective, key, room)
        assert shortened == samplers._draw_lengths(window, objective, key, 10**6)


def test_common_windows_are_unconditional_from_32_tokens_on() -> None:
    found = drawn(BATCH, draw(BATCH, ObjectiveConfig(kind="blank")))
    chosen = is_unconditional(found, ObjectiveConfig(kind="blank"))
    has_no_prompt = BATCH.prompts == 0
    assert np.array_equal(chosen[has_no_prompt], (BATCH.sizes >= 32)[has_no_prompt])


@pytest.mark.parametrize(
    ("kind", "spans"),
    [
        ("blank", [(1, 5), (5, 9)]),
        ("blank", [(1, 5)]),
        ("blank", [(1, 9), (20, 30), (40, 45)]),
        ("blank", [(0, 9)]),
        ("blank", [(1, 60)]),
        ("sentence", [(1, 10)]),
        ("sentence", [(1, 21), (21, 41)]),
        ("sentence", []),
        ("document", [(1, 20)]),
        ("document", [(1, 40), (50, 60)]),
        ("prefix", [(30, 61)]),
        ("prefix", [(1, 62)]),
        ("causal_lm", [(2, 62)]),
        ("masked_tokens", [(1, 2)]),
        ("masked_tokens", [(1, 10)]),
        ("blank", [(1, 9), (8, 12)]),
        ("blank", [(5, 5), (10, 19)]),
        ("document", [(20, 99)]),
    ],
)
def test_a_broken_rule_is_found(kind: str, spans: list[tuple[int, int]]) -> None:
    ends = np.array([21, 41, 61])
    window = Window(np.arange(62, dtype=np.int32), 1, 61, ends, 0, 0, 60)
    found = drawn(batch_of([window], [0]), span_batch([[Span(*span) for span in spans]]))
    law, objective = TABLE[kind].law, ObjectiveConfig(kind=kind)
    assert law is not None
    assert not (found.is_sound().all() and law.holds(found, objective).all())
