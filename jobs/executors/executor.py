"""What `jobs/drive.py` asks of an executor: run functions, say what came of them.

An executor decides where and when a function runs, never what it does. It has no idea of work
items, retries or documents.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

EXECUTORS = ("serial", "processes", "ray")


@dataclass(frozen=True)
class Outcome:
    """What came of one task: a result, the function's own exception, or a worker that died.

    `worker` names it for people (`pid 4711`, `10.0.0.7 pid 4711`); `seconds` is how long the
    function ran, 0 where the worker died. `lost_node` says that it died with its whole node.
    """

    task: int
    worker: str
    seconds: float = 0.0
    result: Any = None
    error: BaseException | None = None
    death: str = ""
    lost_node: bool = False


@dataclass(frozen=True)
class ExecutorOptions:
    """Where to run. `address` is that of a Ray cluster, empty for one of our own; `memory_bytes`
    is what one task may need at most, by which tasks are admitted."""

    name: str
    workers: int
    address: str = ""
    memory_bytes: int = 0
    dashboard: bool = False
    notes: list[str] = field(default_factory=list)
    """What a person should know about how it was opened, such as fewer workers for lack of
    memory."""


class Executor(Protocol):
    """Runs tasks; every task submitted comes back from `wait` as one outcome."""

    @property
    def slots(self) -> int:
        """Tasks that are worth having in flight: running, and ready to run next."""

    @property
    def workers(self) -> int:
        """Tasks that run at once."""

    def submit(self, task: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Start, or queue, `function(*arguments)` as task number `task`."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes that came in, at least one unless `seconds` pass before; in no fixed order."""

    def running(self) -> dict[str, int]:
        """Tasks that run at this moment by the name of their worker, as far as that is known."""
