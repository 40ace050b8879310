"""The backlog: what has waited and is due goes first, then what is ready, in order."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.backlog import Backlog, Task, pause_seconds
from jobs.isolation import Limits, live
from jobs.steps import Build, Count
from tests.fake_work import item


def task(number: int) -> Task:
    life = live(item(number), Limits())
    return Task(item(number), life, next(life))


def numbers(backlog: Backlog) -> list[int]:
    """Slices of everything that is due, in the order in which it comes."""
    found = []
    while (one := backlog.next()) is not None:
        found.append(one.item.slice.number)
    return found


def test_what_waited_and_is_due_comes_before_what_is_ready() -> None:
    backlog = Backlog()
    for number in range(3):
        backlog.add(task(number))
    backlog.add_later(task(3), -1.0)
    backlog.add_later(task(4), -2.0)
    backlog.add_later(task(5), 60.0)
    assert len(backlog) == 6
    assert numbers(backlog) == [4, 3, 0, 1, 2]
    assert len(backlog) == 1


def test_nothing_comes_before_its_time() -> None:
    backlog = Backlog()
    assert backlog.seconds_left() == 0
    backlog.add_later(task(0), 0.1)
    assert numbers(backlog) == []
    assert 0 < backlog.seconds_left() <= 0.1
    time.sleep(backlog.seconds_left())
    assert numbers(backlog) == [0]


def test_tasks_due_at_once_need_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    backlog = Backlog()
    for number in range(4):
        backlog.add_later(task(number), 0.0)
    assert numbers(backlog) == [0, 1, 2, 3]


def test_another_step_has_not_failed_yet() -> None:
    one = task(0)
    one.storage_failures, one.deaths, one.lost_nodes = 1, 2, 3
    one.go_on(Count())
    assert (one.step, one.storage_failures, one.deaths, one.lost_nodes) == (Count(), 0, 0, 0)
    assert task(0).step == Build(())


@given(st.integers(1, 60), st.floats(0.001, 5))
def test_pauses_double_up_to_a_limit_give_or_take_half(times: int, first: float) -> None:
    expected = min(first * 2.0 ** (times - 1), 60.0)
    assert 0.5 * expected <= pause_seconds(times, first, 60.0) <= 1.5 * expected


def test_two_pauses_differ() -> None:
    assert len({pause_seconds(3, 1.0, 60.0) for _ in range(9)}) > 1
