"""Work that is quick and does as it is told: for tests of executors and of the driver.

Items have documents 0, 1, 2, ...; what a document does to whoever builds it is in the context.
"""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobs.work import Work
from schemas.plan import Slice, SourceRange, WorkItem
from schemas.record import Exclusion, ItemResult

ROWS = 3


@dataclass(frozen=True)
class FakeContext:
    """Documents by (slice, number): `killers` kill their worker, `raisers` raise what they map to.

    `raises` and `kills` are by slice, for an item as a whole, whatever its documents; `transient`
    errors come as often as there are numbers in the file's name, then no more.
    """

    folder: Path
    documents: int = 8
    seconds: float = 0.0
    killers: frozenset[tuple[int, int]] = frozenset()
    raisers: dict[tuple[int, int], BaseException] = field(default_factory=dict)
    raises: dict[int, BaseException] = field(default_factory=dict)
    kills: frozenset[int] = frozenset()
    unreadable: frozenset[int] = frozenset()
    transient: dict[int, tuple[int, BaseException]] = field(default_factory=dict)


def item(number: int) -> WorkItem:
    return WorkItem(f"id{number}", 0, 0, Slice(number, (SourceRange("x.jsonl", 0, 9, "x"),)))


def items(count: int) -> Iterator[WorkItem]:
    return map(item, range(count))


def build(context: FakeContext, one: WorkItem, excluded: tuple[Exclusion, ...]) -> ItemResult:
    """Leaves one line for each time it was committed."""
    number = one.slice.number
    _log(context, "began", number)
    time.sleep(context.seconds)
    _fail_as_told(context, number)
    _build_documents(context, number, excluded, range(context.documents))
    _log(context, "committed", number)
    return ItemResult(one.name, ROWS, context.documents - len(excluded), 9, 9, 0, {"read": 0.5})


def count(context: FakeContext, one: WorkItem) -> int:
    if one.slice.number in context.unreadable:
        die()
    return context.documents


def probe(
    context: FakeContext, one: WorkItem, excluded: tuple[Exclusion, ...], first: int, stop: int
) -> None:
    time.sleep(context.seconds)
    _build_documents(context, one.slice.number, excluded, range(first, stop))


def locate(context: FakeContext, one: WorkItem, number: int) -> Exclusion:
    return Exclusion(f"document {number}", "x.jsonl", number, number + 1, "", "")


def fake_work(context: FakeContext) -> Work:
    return Work(context, build, count, probe, locate)


def die() -> None:
    """The process ends as if the kernel had killed it."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def lines(context: FakeContext, word: str) -> list[int]:
    """Numbers of the slices for which `word` was written, once for each time."""
    path = context.folder / word
    return sorted(map(int, path.read_text().split())) if path.exists() else []


def _fail_as_told(context: FakeContext, number: int) -> None:
    if number in context.raises:
        raise context.raises[number]
    if number in context.kills:
        die()
    times, error = context.transient.get(number, (0, None))
    if error and lines(context, "began").count(number) <= times:
        raise error


def _build_documents(
    context: FakeContext, number: int, excluded: tuple[Exclusion, ...], documents: range
) -> None:
    for document in documents:
        if any(one.start == document for one in excluded):
            continue
        if (number, document) in context.killers:
            die()
        if (number, document) in context.raisers:
            raise context.raisers[number, document]


def _log(context: FakeContext, word: str, number: int) -> None:
    """One write of a few bytes to a file opened for appending is atomic."""
    with (context.folder / word).open("a") as file:
        file.write(f"{number}\n")


def with_killers(context: FakeContext, *killers: tuple[int, int]) -> FakeContext:
    return replace(context, killers=frozenset(killers))
