"""Who does what: what a build state knows of its workers, from outcomes and from the executor.

Used by `drive.py`.
"""

import time
from collections.abc import Mapping

from jobs.executors.executor import Outcome
from jobs.progress.build_state import BuildState, WorkerState
from schemas.record import ItemResult

_MIN_WORKERS_KEPT = 64
_KEPT_PER_WORKER = 4


class WorkerStates:
    """Keeps `state.workers`, the oldest of those without an item forgotten when they are many."""

    def __init__(self, state: BuildState) -> None:
        self._workers = state.workers

    def heard(self, outcome: Outcome) -> None:
        """Count a task of a worker; its name is not known where a node of Ray was lost."""
        if not outcome.worker:
            return
        worker = self._workers.setdefault(outcome.worker, WorkerState(outcome.worker))
        worker.item, worker.since = "", time.monotonic()
        worker.busy_seconds += outcome.seconds
        worker.deaths += bool(outcome.death)
        if isinstance(outcome.result, ItemResult):
            worker.items += 1
            worker.rows += outcome.result.rows

    def at_work(self, items: Mapping[str, str]) -> None:
        """Names of the items that workers are at, by worker, as far as that is known."""
        now = time.monotonic()
        for name, item in items.items():
            worker = self._workers.setdefault(name, WorkerState(name))
            if worker.item != item:
                worker.item, worker.since = item, now
        for name, worker in self._workers.items():
            if worker.item and name not in items:
                worker.item, worker.since = "", now

    def forget(self, workers: int) -> None:
        """Drop workers that are gone, of `workers` that there are at once."""
        most = max(_MIN_WORKERS_KEPT, _KEPT_PER_WORKER * workers)
        surplus = len(self._workers) - most
        if surplus > 0:
            idle = sorted(
                (worker for worker in self._workers.values() if not worker.item),
                key=lambda worker: worker.since,
            )
            for worker in idle[:surplus]:
                del self._workers[worker.name]
