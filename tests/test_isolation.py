"""The life of an item: what is left out is exactly what fails alone, and chance is never blamed."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.isolation import Limits, live, place_of
from jobs.steps import (
    KILLED_WORKER,
    RAISED_ERROR,
    Answer,
    Build,
    Count,
    Failure,
    Locate,
    Probe,
    Step,
)
from schemas.errors import BlankstreamError
from schemas.plan import Slice, SourceRange, WorkItem
from schemas.record import Exclusion, ItemResult
from tests.fake_work import item

DEATH = Failure(KILLED_WORKER, "its worker process died", "killed by SIGKILL")
ERROR = Failure(RAISED_ERROR, "ValueError: no", "ValueError: no", ValueError("no"))
RESULT = ItemResult("pass-0000/00000", 1, 1, 1, 1, 0, {})


class World:
    """Documents `poison` fail whoever builds them; `fates` fail steps in turn, whatever they do."""

    def __init__(
        self, documents: int, poison: dict[int, Failure], fates: Iterable[bool] = ()
    ) -> None:
        self.documents, self.poison, self.fates = documents, poison, iter(fates)
        self.steps: list[Step] = []

    def answer(self, step: Step) -> Answer:
        self.steps.append(step)
        if next(self.fates, False):
            return DEATH
        match step:
            case Count():
                return self.documents
            case Locate(number):
                return Exclusion(f"d{number}", "x.jsonl", number, number + 1, "", "")
            case Build(excluded):
                return self._build(excluded, range(self.documents)) or RESULT
            case Probe(excluded, first, stop):
                return self._build(excluded, range(first, stop))

    def _build(self, excluded: tuple[Exclusion, ...], documents: range) -> Failure | None:
        out = {one.start for one in excluded}
        bad = (self.poison[one] for one in documents if one in self.poison and one not in out)
        return next(bad, None)

    @property
    def excluded(self) -> tuple[Exclusion, ...]:
        """Of the last build."""
        return next(step for step in reversed(self.steps) if isinstance(step, Build)).excluded


def play(answer: Callable[[Step], Answer], limits: Limits = Limits()) -> ItemResult:  # noqa: B008
    life = live(item(0), limits)
    step = next(life)
    while True:
        try:
            step = life.send(answer(step))
        except StopIteration as end:
            result: ItemResult = end.value
            return result


def test_an_item_without_trouble_is_one_step() -> None:
    world = World(5, {})
    assert play(world.answer) is RESULT
    assert world.steps == [Build(())]


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_exactly_the_documents_that_fail_alone_are_left_out(case: tuple[int, set[int]]) -> None:
    documents, poison = case
    world = World(documents, dict.fromkeys(poison, DEATH))
    assert play(world.answer) is RESULT
    assert [one.start for one in world.excluded] == sorted(poison)


def test_what_is_left_out_says_why() -> None:
    world = World(9, {2: ERROR, 7: DEATH})
    play(world.answer)
    assert [(one.id, one.reason, one.detail) for one in world.excluded] == [
        ("d2", "raised_error", "ValueError: no"),
        ("d7", "killed_worker", "its worker process died"),
    ]


def test_a_document_is_found_in_a_number_of_probes_that_is_the_logarithm() -> None:
    world = World(1024, {700: ERROR})
    play(world.answer)
    assert sum(isinstance(step, Probe) for step in world.steps) == 11  # the last one confirms


@pytest.mark.parametrize(("failure", "times"), [(ERROR, 1), (DEATH, 3)], ids=["error", "death"])
def test_a_document_dies_alone_three_times_before_it_is_left_out(
    failure: Failure, times: int
) -> None:
    world = World(4, {0: failure})
    play(world.answer)
    alone = [step for step in world.steps if step == Probe((), 0, 1)]
    assert len(alone) == 1 + times  # the first of them ended the bisection


@pytest.mark.parametrize("deaths", [0, 1, 3])
def test_an_item_that_dies_by_chance_is_built_again(deaths: int) -> None:
    world = World(5, {}, [True] * deaths)
    assert play(world.answer, Limits(max_retries=3)) is RESULT
    assert world.steps == [Build(())] * (deaths + 1)


def test_an_error_is_not_tried_again_before_it_is_searched() -> None:
    world = World(2, {0: ERROR})
    play(world.answer)
    assert world.steps[:2] == [Build(()), Count()]


@given(st.lists(st.booleans(), max_size=24), st.integers(0, 7))
def test_no_fate_has_a_healthy_document_left_out_unless_it_hits_it_alone_thrice(
    fates: list[bool], poison: int
) -> None:
    world = World(8, {poison: DEATH}, fates)
    try:
        play(world.answer)
    except BlankstreamError:
        return
    hits = Counter(
        step.first
        for step, fate in zip(world.steps, fates, strict=False)
        if fate and isinstance(step, Probe) and step.stop - step.first == 1
    )
    hit_alone = {document for document, times in hits.items() if times >= 3}
    assert {one.start for one in world.excluded} <= {poison} | hit_alone


def test_one_search_led_astray_is_forgotten() -> None:
    fates = [True] * 4 + [False, True]  # four builds, count, first probe
    world = World(8, {}, fates)
    assert play(world.answer) is RESULT
    assert world.excluded == ()


def test_an_item_that_dies_though_no_document_does_is_an_error() -> None:
    def answer(step: Step) -> Answer:
        return DEATH if isinstance(step, Build) else World(8, {}).answer(step)

    with pytest.raises(BlankstreamError, match=r"SIGKILL.*each of its documents can be built"):
        play(answer)


@pytest.mark.parametrize("documents", [0, 1])
def test_an_item_with_hardly_a_document_can_fail_too(documents: int) -> None:
    def answer(step: Step) -> Answer:
        return ERROR if isinstance(step, Build) else World(documents, {}).answer(step)

    with pytest.raises(BlankstreamError, match=r"00000 \(x\.jsonl, bytes 0 to 9\).*ValueError: no"):
        play(answer)


@pytest.mark.parametrize("kind", [Count, Locate])
def test_documents_that_cannot_be_read_are_an_error_with_their_place(kind: type) -> None:
    world = World(4, {1: DEATH})

    def answer(step: Step) -> Answer:
        return ERROR if isinstance(step, kind) else world.answer(step)

    with pytest.raises(BlankstreamError, match=r"reading its documents fails .*ValueError: no"):
        play(answer)


def test_a_document_that_fails_though_it_was_left_out_is_an_error() -> None:
    def answer(step: Step) -> Answer:
        if isinstance(step, Build | Probe):
            return DEATH
        return World(4, {}).answer(step)

    with pytest.raises(BlankstreamError, match="reading its documents fails"):
        play(answer)


def test_too_many_documents_that_fail_are_an_error() -> None:
    world = World(9, dict.fromkeys(range(4), ERROR))
    with pytest.raises(BlankstreamError, match=r"more than 3 documents fail.*'d3' of x\.jsonl"):
        play(world.answer, Limits(max_excluded_per_item=3))
    assert play(world.answer, Limits(max_excluded_per_item=4)) is RESULT


def test_a_place_names_the_first_range_and_counts_the_others() -> None:
    ranges = tuple(SourceRange(name, 5, 7, "x") for name in "abc")
    one = WorkItem("id", 0, 2, Slice(1, ranges))
    assert place_of(one) == f"work item {one.name} (a, bytes 5 to 7 and 2 more)"
