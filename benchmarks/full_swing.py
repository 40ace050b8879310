"""A build in full swing: what was done between two moments, its beginning and its end left out.

Used by `steady_state.py`.
"""

import os
import time
from dataclasses import asdict, dataclass

from benchmarks.process_tree import tree_cpu_seconds
from jobs.progress.build_state import BuildState
from tests.corpus import NoProgress

WARM_ITEMS = 2
"""Items that each worker builds before anything is measured."""


@dataclass(frozen=True)
class Moment:
    """What had been done at one moment; `cpu_seconds` are those of driver, workers and daemons,
    `task_seconds` how long tasks ran."""

    seconds: float
    rows: int
    driver_cpu_seconds: float
    cpu_seconds: float
    task_seconds: float

    def since(self, before: "Moment") -> "Moment":
        """What was done since `before`."""
        pairs = zip(asdict(self).values(), asdict(before).values(), strict=True)
        return Moment(*(now - then for now, then in pairs))


class Swing(NoProgress):
    """A `BuildWatcher` that remembers the first and the last moment in full swing."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self._workers = workers
        self.first: Moment | None = None
        self.last: Moment | None = None

    def changed(self) -> None:
        """Look at the clock when it is time."""
        left = self.state.total - self.state.before - self.state.done
        if self.first is None and self.state.done >= WARM_ITEMS * self._workers:
            self.first = moment(self.state)
        elif self.first and self.last is None and left <= self._workers:
            self.last = moment(self.state)

    def measured(self) -> Moment:
        """What was done in between."""
        assert self.first, "too few items to get into full swing"
        assert self.last, "the build ended between two looks"
        return self.last.since(self.first)


def moment(state: BuildState) -> Moment:
    """This moment."""
    return Moment(
        time.perf_counter(),
        state.rows,
        time.process_time(),
        tree_cpu_seconds(os.getpid()),
        sum(worker.busy_seconds for worker in state.workers.values()),
    )
