"""The driver of a build: lives of work items -> tasks of an executor -> a counted state.

Stands between `jobs/build.py` and the executors. One thread, a bounded number of items at a time,
and memory that does not grow with their number.
"""

import heapq
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobs.executors.executor import Executor, Outcome
from jobs.isolation import Life, Limits, live, place_of
from jobs.progress.build_state import BuildState
from jobs.progress.worker_states import WorkerStates
from jobs.steps import Answer, Build, Step
from jobs.verdict import ends_the_build, failure_of, passes
from jobs.work import Work
from schemas.errors import BlankstreamError, StorageError
from schemas.plan import WorkItem

_WAIT_SECONDS = 1.0
_CHANGE_SECONDS = 0.1


@dataclass(slots=True)
class _Task:
    """A step of an item that is with the executor, or will be."""

    item: WorkItem
    life: Life
    step: Step
    excluded: int = 0
    failures: int = 0


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
    one is tried again or searched. Raises what ends the build: the `BlankstreamError` of an item as
    it is, an `OSError` that lasts, and what `isolation.live` raises. Items committed before stay.
    """
    _Driver(executor, items, work, state, limits).run(on_change)


class _Driver:
    """Tasks with the executor, those that are ready for it, and those that wait for their time."""

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
        self._in_flight: dict[int, _Task] = {}
        self._ready: deque[_Task] = deque()
        self._later: list[tuple[float, int, _Task]] = []
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
        return bool(self._in_flight or self._later)

    def _next(self) -> _Task | None:
        """What was begun goes first."""
        if self._later and self._later[0][0] <= time.monotonic():
            return heapq.heappop(self._later)[2]
        if self._ready:
            return self._ready.popleft()
        item = next(self._items, None)
        if item is None:
            return None
        life = live(item, self._limits)
        return _Task(item, life, next(life))

    def _submit(self, task: _Task) -> None:
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
        pause = self._later[0][0] - time.monotonic() if self._later else 0.0
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
            self._try_later(task, error)
        elif error is not None and ends_the_build(error):
            raise error
        elif outcome.death or error is not None:
            self._advance(task, failure_of(outcome))
        else:
            self._advance(task, outcome.result)

    def _advance(self, task: _Task, answer: Answer) -> None:
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
        task.step, task.failures = step, 0
        self._ready.append(task)

    def _try_later(self, task: _Task, error: BaseException) -> None:
        """Behind a pause that doubles, and is never the same for two tasks."""
        task.failures += 1
        if task.failures > self._limits.max_retries:
            raise _kept_failing(task, error) from error
        pause = self._limits.retry_seconds * 2 ** (task.failures - 1)
        due = time.monotonic() + pause * secrets.SystemRandom().uniform(0.5, 1.5)
        heapq.heappush(self._later, (due, self._number, task))
        self._number += 1
        self._state.retries += 1


def _kept_failing(task: _Task, error: BaseException) -> BlankstreamError:
    return StorageError(
        f"{place_of(task.item)}: fails again after {task.failures - 1} retries ({error}); what was "
        "finished stays: run the same command again when storage answers"
    )
