"""Items through an executor: each once, a bounded number at a time, errors as they are."""

from collections.abc import Iterator
from typing import Any

import pytest

from jobs.care.each import for_each
from jobs.executors.executor import Outcome
from jobs.executors.serial import SerialExecutor
from schemas.errors import BlankstreamError, InputError
from schemas.plan import Slice, SourceRange, WorkItem, work_item


def item(number: int) -> WorkItem:
    return work_item("r", 0, 0, Slice(number, (SourceRange("a.txt", number, number + 1, "00"),)))


def product(context: int, one: WorkItem, factor: int) -> int:
    if factor == 13:
        raise InputError("thirteen")
    return context * one.slice.number * factor


class TwoSlots(SerialExecutor):
    """Two tasks are worth having in flight."""

    slots = 2


class Dying(SerialExecutor):
    """Every worker dies."""

    def wait(self, seconds: float) -> list[Outcome]:
        return [Outcome(0, "pid 7", death="killed by SIGKILL")]


def tasks(*factors: int) -> Iterator[tuple[WorkItem, int]]:
    return ((item(number), factor) for number, factor in enumerate(factors))


def test_every_item_comes_back_once_with_its_own_result() -> None:
    found = for_each(SerialExecutor(), product, 10, tasks(5, 6, 7))
    assert [(one.slice.number, result) for one, result in found] == [(0, 0), (1, 60), (2, 140)]
    assert list(for_each(SerialExecutor(), product, 10, tasks())) == []


def test_no_more_tasks_are_drawn_than_there_are_slots() -> None:
    executor, drawn = TwoSlots(), []

    def drawing() -> Iterator[tuple[WorkItem, int]]:
        for task in tasks(*range(1, 8)):
            drawn.append(task)
            yield task

    for done, _ in enumerate(for_each(executor, product, 1, drawing())):
        assert len(drawn) <= done + 2
    assert len(drawn) == 7


def test_what_the_function_raises_comes_out_as_it_is() -> None:
    with pytest.raises(InputError, match="thirteen"):
        list(for_each(SerialExecutor(), product, 1, tasks(1, 13, 2)))


def test_a_dead_worker_is_an_error_that_names_the_item() -> None:
    executor: Any = Dying()
    told = r"at item pass-0000/00000/00000000 \(killed by SIGKILL\).*fewer --workers"
    with pytest.raises(BlankstreamError, match=told):
        list(for_each(executor, product, 1, tasks(1)))
