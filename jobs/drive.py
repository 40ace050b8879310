"""The driver of a build: lives of work items -> tasks of an executor -> a counted state.

Stands between `jobs/build.py` and the executors. One thread. However many items there are, it
holds only those that are begun: what fills the executor's slots, and a few per slot that wait.
"""

import time
from collections.abc import Callable, Iterator

from jobs.backlog import Backlog, Task, pause_seconds
from jobs.executors.executor import Executor, Outcome
from jobs.isolation import Limits, live
from jobs.progress.build_state import BuildState
from jobs.progress.worker_states import WorkerStates
from jobs.steps import KILLED_WORKER, Answer, Build, Failure
from jobs.verdict import ends_the_build, failure_of, kept_failing, kept_losing_nodes, passes
from jobs.work import Work
from schemas.plan import WorkItem

_WAIT_SECONDS = 1.0
_CHANGE_SECONDS = 0.1

_MAX_WAITING_PER_SLOT = 8
"""While so many items wait, most often for storage, no other is begun."""

_MAX_STORAGE_PAUSE_SECONDS = 60.0
_MAX_DEATH_PAUSE_SECONDS = 30.0


def drive(
    executor: Executor,
    items: Iterator[WorkItem],
    work: Work,
    state: BuildState,
    on_change: Callable[[], None],
    limits: Limits,
) -> None:
    """Build every item exactly once; `state` counts, and `on_change` is called when it changed.

    That is at most ten times a second and, while waiting, at least once. Other items go on while
    one is tried again or searched. Raises what ends the build: the `BlankstreamError` or
    `AssertionError` of an item as it is, an `OSError` that lasts, `StorageError` and
    `BlankstreamError` for storage that goes on failing and nodes that go on being lost, and what
    `isolation.live` raises. Items committed before stay.
    """
    _Driver(executor, items, work, state, limits).run(on_change)


class _Driver:
    """Tasks with the executor, and those that are not."""

    def __init__(
        self,
        executor: Executor,
        items: Iterator[WorkItem],
        work: Work,
        state: BuildState,
        limits: Limits,
    ) -> None:
        self._executor, self._items, self._work = executor, items, work
        self._state, self._limits = state, limits
        self._workers = WorkerStates(state)
        self._in_flight: dict[int, Task] = {}
        self._backlog = Backlog()
        self._number = 0

    def run(self, on_change: Callable[[], None]) -> None:
        """Until no item is left."""
        told = 0.0
        while self._fill():
            self._note_running()
            if time.monotonic() - told >= _CHANGE_SECONDS:
                on_change()
                told = time.monotonic()
            for outcome in self._wait():
                self._take(outcome)
            self._workers.forget(self._executor.workers)
        on_change()

    def _fill(self) -> bool:
        """Keep the executor busy; whether there is anything to wait for."""
        free = self._executor.slots - len(self._in_flight)
        while free > 0 and (task := self._next()):
            self._submit(task)
            free -= 1
        self._state.in_flight = len(self._in_flight)
        return bool(self._in_flight or self._backlog)

    def _next(self) -> Task | None:
        """What was begun goes first."""
        task = self._backlog.next()
        if task or len(self._backlog) >= _MAX_WAITING_PER_SLOT * self._executor.slots:
            return task
        item = next(self._items, None)
        if item is None:
            return None
        life = live(item, self._limits)
        return Task(item, life, next(life))

    def _submit(self, task: Task) -> None:
        function, arguments = self._work.call_of(task.step)
        self._in_flight[self._number] = task
        self._executor.submit(self._number, function, self._work.context, task.item, *arguments)
        self._number += 1

    def _note_running(self) -> None:
        running = self._executor.running().items()
        tasks = ((worker, self._in_flight.get(number)) for worker, number in running)
        self._workers.at_work({worker: task.item.name for worker, task in tasks if task})

    def _wait(self) -> list[Outcome]:
        seconds = _WAIT_SECONDS
        pause = self._backlog.seconds_left()
        if pause > 0:  # what is due already waits for the executor, not for its time
            seconds = min(seconds, pause)
        if self._in_flight:
            return self._executor.wait(seconds)
        time.sleep(seconds)
        return []

    def _take(self, outcome: Outcome) -> None:
        task = self._in_flight.pop(outcome.task)
        self._workers.heard(outcome)
        error = outcome.error
        if error is not None and passes(error):
            self._wait_for_storage(task, error)
        elif outcome.lost_node:
            self._wait_for_a_node(task, outcome.death)
        elif error is not None and ends_the_build(error):
            raise error
        elif outcome.death or error is not None:
            self._advance(task, failure_of(outcome))
        else:
            self._advance(task, outcome.result)

    def _advance(self, task: Task, answer: Answer) -> None:
        """The next step of the item, or its end."""
        try:
            step = task.life.send(answer)
        except StopIteration as end:
            self._state.add(end.value)
            return
        if isinstance(step, Build):
            self._state.retries += 1
            self._state.excluded += len(step.excluded) - task.excluded
            task.excluded = len(step.excluded)
        has_died = isinstance(answer, Failure) and answer.reason == KILLED_WORKER
        if has_died and step == task.step:
            task.deaths += 1
            self._put_off(task, task.deaths, _MAX_DEATH_PAUSE_SECONDS)
        else:
            task.go_on(step)
            self._backlog.add(task)

    def _wait_for_storage(self, task: Task, error: BaseException) -> None:
        task.storage_failures += 1
        if task.storage_failures > self._limits.max_storage_retries:
            raise kept_failing(task.item, task.storage_failures, error) from error
        self._state.retries += 1
        self._put_off(task, task.storage_failures, _MAX_STORAGE_PAUSE_SECONDS)

    def _wait_for_a_node(self, task: Task, death: str) -> None:
        """No document can take a node along: the item is not blamed."""
        task.lost_nodes += 1
        if task.lost_nodes > self._limits.max_lost_nodes:
            raise kept_losing_nodes(task.item, task.lost_nodes, death)
        self._state.retries += 1
        self._put_off(task, task.lost_nodes, _MAX_DEATH_PAUSE_SECONDS)

    def _put_off(self, task: Task, times: int, most: float) -> None:
        self._backlog.add_later(task, pause_seconds(times, self._limits.retry_seconds, most))
