"""The driver: every item exactly once, whatever dies or fails, with everything counted."""

import errno
import os
import random
import resource
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count as endless
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jobs.drive import drive
from jobs.executors.choice import open_executor
from jobs.executors.executor import Executor, ExecutorOptions, Outcome
from jobs.executors.serial import SerialExecutor
from jobs.isolation import Limits
from jobs.progress.build_state import BuildState
from schemas.errors import BlankstreamError, DatasetError, InputError, StorageError
from schemas.plan import WorkItem
from schemas.record import ItemResult
from tests.fake_work import ROWS, FakeContext, fake_work, item, items, lines

REMOTE = ["processes", pytest.param("ray", marks=pytest.mark.ray)]
on_remote_executors = pytest.mark.parametrize("executor", REMOTE, indirect=True)
QUICK = Limits(retry_seconds=0.05, max_storage_retries=3, max_lost_nodes=4)
KILLS = 60 if os.environ.get("BLANKSTREAM_FULL") else 6


@pytest.fixture(scope="module", params=["serial", *REMOTE])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with open_executor(ExecutorOptions(request.param, 2)) as opened:
        yield opened


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path)


def run(
    executor: Executor,
    context: FakeContext,
    number: int,
    on_change: Callable[[BuildState], None] = lambda state: None,
    limits: Limits = QUICK,
) -> BuildState:
    state = BuildState(total=number)
    drive(executor, items(number), fake_work(context), state, lambda: on_change(state), limits)
    return state


def test_every_item_is_built_once_and_counted(executor: Executor, context: FakeContext) -> None:
    state = run(executor, context, 20)
    assert lines(context, "committed") == list(range(20))
    assert (state.done, state.rows, state.documents) == (20, 20 * ROWS, 160)
    assert (state.retries, state.excluded, state.in_flight) == (0, 0, 0)
    assert state.stage_seconds == {"read": 10.0}


def test_workers_are_counted_by_name(executor: Executor, context: FakeContext) -> None:
    workers = run(executor, replace(context, seconds=0.01), 20).workers.values()
    assert sum(worker.items for worker in workers) == 20
    assert sum(worker.rows for worker in workers) == 20 * ROWS
    assert all(worker.busy_seconds > 0 and not worker.item for worker in workers if worker.items)


@pytest.mark.parametrize(
    "error",
    [
        DatasetError("plan.json: no"),
        BlankstreamError("shard: damaged"),
        InputError("x: changed"),
        AssertionError("objective 'x': spans break its rule"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_error_of_an_item_is_raised_as_it_is(
    executor: Executor, context: FakeContext, error: Exception
) -> None:
    with pytest.raises(type(error)) as caught:
        run(executor, replace(context, raises={3: error}), 8)
    assert (type(caught.value), str(caught.value)) == (type(error), str(error))
    _drain(executor)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOENT])
def test_a_disk_that_is_full_or_forbidden_is_not_tried_again(
    context: FakeContext, number: int
) -> None:
    context = replace(context, raises={1: OSError(number, os.strerror(number), "a.arrow")})
    with pytest.raises(OSError, match=r"a\.arrow") as caught:
        run(SerialExecutor(), context, 3)
    assert caught.value.errno == number
    assert lines(context, "began") == [0, 1]


@pytest.mark.parametrize("error", [StorageError("503"), ConnectionResetError(104, "reset")])
def test_storage_that_fails_for_a_while_is_tried_again(
    executor: Executor, context: FakeContext, error: Exception
) -> None:
    context = replace(context, transient={2: (3, error), 4: (1, error)})
    state = run(executor, context, 6)
    assert lines(context, "committed") == list(range(6))
    assert lines(context, "began").count(2) == 4
    assert (state.done, state.retries, state.excluded) == (6, 4, 0)


def test_other_items_go_on_while_one_waits_for_storage(context: FakeContext) -> None:
    context = replace(context, transient={0: (1, StorageError("503"))})
    done: list[int] = []
    run(SerialExecutor(), context, 9, lambda state: done.append(state.done))
    began = (context.folder / "began").read_text().split()
    assert began == ["0", *"12345678", "0"]


class LastingOutage(SerialExecutor):
    """Storage never answers; there are four slots."""

    slots = 4

    def wait(self, seconds: float) -> list[Outcome]:
        return [replace(one, error=StorageError("503")) for one in super().wait(seconds)]


def test_few_items_are_begun_while_storage_does_not_answer(context: FakeContext) -> None:
    taken = endless()
    stream = (item(next(taken)) for _ in range(10**6))
    limits, work = replace(QUICK, retry_seconds=0.2), fake_work(context)
    with pytest.raises(StorageError, match="again after 3 retries"):
        drive(LastingOutage(), stream, work, BuildState(), lambda: None, limits)
    assert 8 * 4 <= next(taken) <= 9 * 4


def test_storage_that_goes_on_failing_is_an_error_with_its_place(context: FakeContext) -> None:
    context = replace(context, transient={1: (9, OSError(errno.EIO, "bad disk"))})
    with pytest.raises(StorageError, match=r"00001 \(x\.jsonl.*again after 3 retries.*bad disk"):
        run(SerialExecutor(), context, 2)
    assert lines(context, "began").count(1) == 4


@pytest.mark.parametrize("poison", [[5], [0, 3, 7]], ids=["one", "three"])
def test_documents_that_raise_are_left_out(
    executor: Executor, context: FakeContext, poison: list[int]
) -> None:
    raisers: dict[tuple[int, int], BaseException] = {
        (2, document): ValueError(f"no {document}") for document in poison
    }
    state = run(executor, replace(context, raisers=raisers), 5)
    assert lines(context, "committed") == [0, 1, 2, 3, 4]
    assert (state.done, state.excluded) == (5, len(poison))
    assert state.documents == 5 * 8 - len(poison)


@pytest.mark.fault
@on_remote_executors
@pytest.mark.parametrize("poison", [[5], [0, 3, 7]], ids=["one", "three"])
def test_documents_that_kill_their_worker_are_left_out(
    executor: Executor, context: FakeContext, poison: list[int]
) -> None:
    killers = frozenset((2, document) for document in poison)
    state = run(executor, replace(context, killers=killers), 5)
    assert lines(context, "committed") == [0, 1, 2, 3, 4]
    assert lines(context, "began").count(2) == QUICK.max_retries + 1 + len(poison)
    assert (state.done, state.excluded) == (5, len(poison))
    assert state.retries == QUICK.max_retries + len(poison)
    assert state.documents == 5 * 8 - len(poison)


@pytest.mark.fault
@on_remote_executors
def test_an_item_that_dies_without_a_document_to_blame_ends_the_build(
    executor: Executor, context: FakeContext
) -> None:
    with pytest.raises(BlankstreamError, match=r"00001 \(x\.jsonl.*each of its documents can"):
        run(executor, replace(context, kills=frozenset([1])), 2, limits=Limits(0, 9, 0.1))
    _drain(executor)


@pytest.mark.fault
@on_remote_executors
def test_an_item_that_cannot_be_read_ends_the_build(
    executor: Executor, context: FakeContext
) -> None:
    one = frozenset([1])
    with pytest.raises(BlankstreamError, match=r"reading its documents fails .*worker process"):
        run(executor, replace(context, kills=one, unreadable=one), 2, limits=Limits(0, 9, 0.1))
    _drain(executor)


@pytest.mark.fault
@on_remote_executors
def test_workers_killed_at_random_cost_nothing_but_time(
    executor: Executor, context: FakeContext
) -> None:
    chance, killed, last = random.Random(5), set[str](), [0.0]

    def kill_one(state: BuildState) -> None:
        alive = sorted({name for name, one in state.workers.items() if one.items} - killed)
        if len(killed) < KILLS and alive and time.monotonic() - last[0] > 0.5:
            name = chance.choice(alive)
            os.kill(int(name.split()[-1]), signal.SIGKILL)
            killed.add(name)
            last[0] = time.monotonic()

    number = max(60, 12 * KILLS)
    context = replace(context, seconds=0.1)
    state = run(executor, context, number, kill_one)
    assert len(killed) == KILLS
    assert (state.done, state.excluded) == (number, 0)
    assert set(lines(context, "committed")) == set(range(number))
    assert state.rows == number * ROWS


def test_the_screen_hears_at_least_every_second_while_waiting(context: FakeContext) -> None:
    heard: list[float] = []
    with open_executor(ExecutorOptions("processes", 1)) as executor:
        run(
            executor,
            replace(context, seconds=2.5),
            1,
            lambda state: heard.append(time.monotonic()),
        )
    gaps = [after - before for before, after in pairwise(heard)]
    assert max(gaps) < 1.5


def test_what_processes_are_at_is_known(context: FakeContext) -> None:
    seen: set[str] = set()
    with open_executor(ExecutorOptions("processes", 2)) as executor:
        run(
            executor,
            replace(context, seconds=0.2),
            6,
            lambda state: seen.update(worker.item for worker in state.workers.values()),
        )
    assert len({item(number).name for number in range(6)} & seen) >= 2


class InstantExecutor:
    """Every task is done when it is asked for, in this process; remembers how many it had."""

    slots, workers = 8, 4

    def __init__(self) -> None:
        self.tasks: dict[int, WorkItem] = {}
        self.most = 0

    def submit(self, task: int, function: Callable[..., Any], *arguments: Any) -> None:
        self.tasks[task] = arguments[1]
        self.most = max(self.most, len(self.tasks))

    def wait(self, seconds: float) -> list[Outcome]:
        found = [
            Outcome(task, f"pid {task % 1000}", 1.0, ItemResult(one.name, 1, 1, 1, 1, 0, {}))
            for task, one in self.tasks.items()
        ]
        self.tasks.clear()
        return found

    def running(self) -> dict[str, int]:
        return {}


class TroubledExecutor(InstantExecutor):
    """One slot; the next task comes to each of `outcomes` in turn, then all are done."""

    slots, workers = 1, 1

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__()
        self.outcomes = iter(outcomes)
        self.functions: list[str] = []
        self.times: list[float] = []

    def submit(self, task: int, function: Callable[..., Any], *arguments: Any) -> None:
        super().submit(task, function, *arguments)
        self.functions.append(function.__name__)
        self.times.append(time.monotonic())

    def wait(self, seconds: float) -> list[Outcome]:
        trouble = next(self.outcomes, None)
        if trouble is None or not self.tasks:
            return super().wait(seconds)
        (task,) = self.tasks
        self.tasks.clear()
        return [replace(trouble, task=task)]

    def pauses(self) -> list[float]:
        return [after - before for before, after in pairwise(self.times)]


DEATH = Outcome(0, "", death="killed by SIGKILL")
LOSS = Outcome(0, "", death="NodeDiedError: gone", lost_node=True)


def test_an_item_that_died_waits_longer_each_time(context: FakeContext) -> None:
    executor = TroubledExecutor(DEATH, DEATH, DEATH)
    state = run(executor, context, 1)
    assert executor.functions == ["build"] * 4
    for pause, expected in zip(executor.pauses(), (0.05, 0.1, 0.2), strict=True):
        assert expected * 0.5 <= pause < expected * 1.5 + 0.5
    assert (state.done, state.retries) == (1, 3)


def test_lost_nodes_are_not_put_down_to_an_item(context: FakeContext) -> None:
    limits = replace(QUICK, max_retries=0, retry_seconds=0.01)
    executor = TroubledExecutor(*[LOSS] * limits.max_lost_nodes)
    state = run(executor, context, 2, limits=limits)
    assert executor.functions.count("build") == len(executor.functions) == 6
    assert (state.done, state.retries, state.excluded) == (2, 4, 0)


def test_nodes_that_go_on_being_lost_are_an_error_that_says_so(context: FakeContext) -> None:
    limits = replace(QUICK, max_lost_nodes=2, retry_seconds=0.01)
    executor = TroubledExecutor(*[LOSS] * 9)
    message = r"00000 \(x\.jsonl.*was lost 3 times in a row \(NodeDiedError: gone\); see why"
    with pytest.raises(BlankstreamError, match=message):
        run(executor, context, 1, limits=limits)
    assert executor.functions == ["build"] * 3


def test_memory_stays_flat_over_many_items(context: FakeContext) -> None:
    number = 1_000_000 if os.environ.get("BLANKSTREAM_FULL") else 100_000
    executor, state = InstantExecutor(), BuildState()
    drive(executor, items(1000), fake_work(context), state, lambda: None, QUICK)
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    drive(executor, items(number), fake_work(context), state, lambda: None, QUICK)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert state.done == 1000 + number
    assert executor.most == executor.slots
    assert most < 2 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024  # kilobytes
    assert len(state.workers) <= 64


def test_items_are_taken_only_as_they_are_needed(context: FakeContext) -> None:
    taken = endless()
    stream = (item(next(taken)) for _ in range(10**9))
    with pytest.raises(DatasetError):
        drive(
            SerialExecutor(),
            stream,
            fake_work(replace(context, raises={3: DatasetError("no")})),
            BuildState(),
            lambda: None,
            QUICK,
        )
    assert next(taken) <= 5


def _drain(executor: Executor) -> None:
    """What an ended build left behind; a real one closes its executor instead."""
    while executor.wait(1.0):
        pass
