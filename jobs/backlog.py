"""Steps of work items that are begun and not with the executor: ready, or waiting for their time.

Used by `drive.py`.
"""

import heapq
import itertools
import secrets
import time
from collections import deque
from dataclasses import dataclass

from jobs.isolation import Life
from jobs.steps import Step
from schemas.plan import WorkItem


@dataclass(slots=True)
class Task:
    """A step of an item, and how often it failed: by storage, by a death, by the loss of a node."""

    item: WorkItem
    life: Life
    step: Step
    excluded: int = 0
    storage_failures: int = 0
    deaths: int = 0
    lost_nodes: int = 0

    def go_on(self, step: Step) -> None:
        """Another step, which has not failed yet."""
        self.step = step
        self.storage_failures = self.deaths = self.lost_nodes = 0


class Backlog:
    """Tasks in the order in which they are due."""

    def __init__(self) -> None:
        self._ready: deque[Task] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    def add(self, task: Task) -> None:
        """It is ready."""
        self._ready.append(task)

    def add_later(self, task: Task, seconds: float) -> None:
        """It is due after `seconds`."""
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), task))

    def next(self) -> Task | None:
        """What has waited and is due, else what is ready."""
        if self._later and self.seconds_left() <= 0:
            return heapq.heappop(self._later)[2]
        return self._ready.popleft() if self._ready else None

    def seconds_left(self) -> float:
        """Until the first waiting task is due: negative when it is, 0 when none waits."""
        return self._later[0][0] - time.monotonic() if self._later else 0.0


def pause_seconds(times: int, first: float, most: float) -> float:
    """How long to wait after something failed `times` times: `first`, twice that, ... up to `most`.

    Give or take half of it, so that many that failed at once do not come back at once.
    """
    return min(first * 2.0 ** (times - 1), most) * secrets.SystemRandom().uniform(0.5, 1.5)
