"""Tasks in processes of this machine, each with a pipe of its own to the driver.

An `Executor` (`executor.py`). A worker runs its tasks in the order they were sent, so that a death
names the one task that was running; what waited behind it is sent again and not blamed. Workers
end with the driver, however that ends.
"""

import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from jobs.executors.executor import Outcome
from jobs.executors.worker_process import Task, WorkerProcess

_TASKS_PER_WORKER = 2


class ProcessExecutor:
    """Up to `workers` processes, started when there is work for them; `close` ends them at once.

    The first argument of a task goes to a worker once for as long as it stays the same object: it
    must not change meanwhile.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.slots = workers * _TASKS_PER_WORKER
        self._workers = [WorkerProcess() for _ in range(workers)]

    def submit(self, task: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Send it to the worker with the fewest tasks."""
        min(self._workers, key=lambda worker: len(worker.tasks)).add(
            Task(task, function, arguments)
        )

    def wait(self, seconds: float) -> list[Outcome]:
        """As `Executor.wait`; `BlankstreamError` when a worker cannot even start."""
        deadline = time.monotonic() + seconds
        while True:
            busy = {worker.pipe: worker for worker in self._workers if worker.pipe}
            ready = wait(list(busy), max(0.0, deadline - time.monotonic()))
            pipes = [pipe for pipe in ready if isinstance(pipe, Connection)]
            outcomes = [outcome for pipe in pipes for outcome in busy[pipe].receive()]
            if outcomes or not ready:
                return outcomes

    def running(self) -> dict[str, int]:
        """The oldest task of each worker."""
        return {worker.name: worker.tasks[0].number for worker in self._workers if worker.tasks}

    def close(self) -> None:
        """End every worker now, whatever it is doing."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.end()
