"""Tasks one after another in this process: no other process, no Ray, easy to debug.

An `Executor` (`executor.py`). A task that kills its process ends the driver.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from jobs.executors.calls import call
from jobs.executors.executor import Outcome


class SerialExecutor:
    """Runs the oldest waiting task in `wait`, however long that takes."""

    slots = workers = 1

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, task: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Put it behind what is waiting."""
        self._waiting.append((task, function, arguments))

    def wait(self, seconds: float) -> list[Outcome]:
        """Run one task; its outcome, or nothing where none is waiting."""
        if not self._waiting:
            return []
        task, function, arguments = self._waiting.popleft()
        reply = call(function, *arguments)
        return [Outcome(task, reply.worker, reply.seconds, reply.result, reply.error)]

    def running(self) -> dict[str, int]:
        """Nothing: whoever asks is not in `wait`."""
        return {}
