"""The life of one work item: built, tried again when its worker dies, at last without a document.

Stands between `drive.py`, which carries out the steps, and nothing else: a life is a generator that
asks for one step at a time and is told what came of it. It knows no executor, no clock, no file.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace

from jobs.steps import RAISED_ERROR, Answer, Build, Count, Failure, Locate, Probe, Step
from schemas.errors import BlankstreamError
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemResult

_DEATHS_ALONE = 3
"""Chance hits a document alone so many times in a row hardly ever; a killer dies every time."""
_MAX_FRUITLESS_SEARCHES = 2
"""A worker killed from outside can lead a search astray once; the second one counts."""


@dataclass(frozen=True)
class Limits:
    """How often something is tried again, after about `retry_seconds`, then twice that, and so on.

    An item whose worker died `max_retries` times; any step that storage failed, or whose node was
    lost, `max_storage_retries` and `max_lost_nodes` times, which no document is blamed for.
    """

    max_retries: int = 3
    max_excluded_per_item: int = 100
    retry_seconds: float = 1.0
    max_storage_retries: int = 8
    max_lost_nodes: int = 20


Life = Generator[Step, Answer, ItemResult]


def live(item: WorkItem, limits: Limits) -> Life:
    """The steps that build `item`; the generator returns the result of the last one.

    A document is left out only when it fails alone, three times in a row where it is by death:
    after a build that died `max_retries + 1` times or raised an error, and a bisection. Raises
    `BlankstreamError` when no single document is to blame, when reading the item fails, and when
    too many documents do.
    """
    excluded: tuple[Exclusion, ...] = ()
    fruitless = 0
    while True:
        built = yield from _build(excluded, 0 if excluded else limits.max_retries)
        if not isinstance(built, Failure):
            return built
        found = yield from _find(item, excluded)
        if found is not None:
            excluded, fruitless = (*excluded, found), 0
            _check_number(item, excluded, limits)
            continue
        fruitless += 1
        if fruitless >= _MAX_FRUITLESS_SEARCHES:
            raise _nobody_to_blame(item, built) from built.error


def _build(
    excluded: tuple[Exclusion, ...], retries: int
) -> Generator[Step, Answer, ItemResult | Failure]:
    """An error is no reason to try again: the same documents raise it again."""
    while True:
        answer = yield Build(excluded)
        if isinstance(answer, ItemResult):
            return answer
        assert isinstance(answer, Failure)
        if answer.reason == RAISED_ERROR or not retries:
            return answer
        retries -= 1


def _find(
    item: WorkItem, excluded: tuple[Exclusion, ...]
) -> Generator[Step, Answer, Exclusion | None]:
    """The first document that fails alone; None when the one bisection led to does not."""
    first, stop = 0, (yield from _read(item, Count()))
    assert isinstance(stop, int)
    while stop - first > 1:
        middle = (first + stop) // 2
        is_in_first_half = isinstance((yield Probe(excluded, first, middle)), Failure)
        first, stop = (first, middle) if is_in_first_half else (middle, stop)
    alone = (yield from _confirm(Probe(excluded, first, stop))) if stop else None
    if alone is None:
        return None
    place = yield from _read(item, Locate(first))
    assert isinstance(place, Exclusion)
    if any((one.source, one.start) == (place.source, place.start) for one in excluded):
        raise _unreadable(item, alone) from alone.error
    return replace(place, reason=alone.reason, detail=alone.detail)


def _confirm(alone: Probe) -> Generator[Step, Answer, Failure | None]:
    """How the document fails each time; None when it passes once. An error is sure at once."""
    failure: Failure | None = None
    for _ in range(_DEATHS_ALONE):
        answer = yield alone
        failure = answer if isinstance(answer, Failure) else None
        if failure is None or failure.reason == RAISED_ERROR:
            break
    return failure


def _read(item: WorkItem, step: Count | Locate) -> Generator[Step, Answer, Answer]:
    """Reading is tried twice, for a worker can be killed from outside."""
    answer = yield step
    if isinstance(answer, Failure):
        answer = yield step
    if isinstance(answer, Failure):
        raise _unreadable(item, answer) from answer.error
    return answer


def _check_number(item: WorkItem, excluded: tuple[Exclusion, ...], limits: Limits) -> None:
    if len(excluded) > limits.max_excluded_per_item:
        last = excluded[-1]
        raise BlankstreamError(
            f"{place_of(item)}: more than {limits.max_excluded_per_item} documents fail, each on "
            f"its own, such as '{last.id}' of {last.source} ({last.detail}); look at this input "
            "and at the tokenizer, and run the same command again"
        )


def _unreadable(item: WorkItem, failure: Failure) -> BlankstreamError:
    return BlankstreamError(
        f"{place_of(item)}: reading its documents fails before anything is built from them "
        f"({failure.text}); look at this input, or leave it out"
    )


def _nobody_to_blame(item: WorkItem, failure: Failure) -> BlankstreamError:
    return BlankstreamError(
        f"{place_of(item)}: building it fails ({failure.text}), though each of its documents can "
        "be built; most often memory is short: run the same command again with fewer --workers or "
        "a smaller build.item_bytes. What was finished stays"
    )


def place_of(item: WorkItem) -> str:
    """The item and where its input begins, for people."""
    ranges = item.slice.ranges
    more = f" and {len(ranges) - 1} more" if len(ranges) > 1 else ""
    inputs = [f" ({part.path}, bytes {part.start} to {part.stop}{more})" for part in ranges[:1]]
    return f"work item {item.name}{''.join(inputs)}"
