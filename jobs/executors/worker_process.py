"""The driver's end of one worker process: start it, send it tasks in order, notice its death.

Used by `processes.py`; the other end is `worker_loop.py`.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from jobs.executors.calls import THREAD_VARIABLES, Reply
from jobs.executors.executor import Outcome
from jobs.executors.worker_loop import READY, SAME_AS_BEFORE, serve
from schemas.errors import BlankstreamError

_MAX_FAILED_STARTS = 3
_END_SECONDS = 5.0


@dataclass(frozen=True)
class Task:
    """One call, as it was submitted."""

    number: int
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass
class WorkerProcess:
    """One place to work: a process, and the next one in its place when it dies.

    Of the tasks of a dead worker the oldest was running and gets the blame; the others are sent
    again.
    """

    tasks: deque[Task] = field(default_factory=deque)
    pipe: Connection | None = None
    process: SpawnProcess | None = None
    is_ready: bool = False
    failed_starts: int = 0
    shared: Any = None

    @property
    def name(self) -> str:
        """`pid 4711`; empty while there is no process."""
        return f"pid {self.process.pid}" if self.process else ""

    def add(self, task: Task) -> None:
        """Send it, now or as soon as a process is ready."""
        self.tasks.append(task)
        if self.pipe is None:
            self._start()
        elif self.is_ready:
            self._send(task)

    def receive(self) -> list[Outcome]:
        """Outcomes of what has come in; `BlankstreamError` when no process gets ready."""
        outcomes: list[Outcome] = []
        assert self.pipe
        try:
            while self.pipe.poll():
                reply = self.pipe.recv()
                if reply is READY:
                    self._begin()
                else:
                    outcomes.append(self._outcome(reply))
        except (EOFError, OSError):
            outcomes += self._died()
        return outcomes

    def terminate(self) -> None:
        """Ask the process to end, and do not wait."""
        if self.process:
            self.process.terminate()

    def end(self) -> str:
        """Wait for the end of the process, or force it; how it ended."""
        if self.process is None or self.pipe is None:
            return ""
        self.pipe.close()
        self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        self.process.close()
        self.pipe = self.process = self.shared = None
        self.is_ready = False
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _outcome(self, reply: Reply) -> Outcome:
        task = self.tasks.popleft().number
        return Outcome(task, reply.worker, reply.seconds, reply.result, reply.error)

    def _died(self) -> list[Outcome]:
        name, was_ready = self.name, self.is_ready
        death = self.end()
        if not was_ready:
            self._count_failed_start(death)
        blamed = [self.tasks.popleft()] if was_ready and self.tasks else []
        if self.tasks:
            self._start()
        return [Outcome(task.number, name, death=death) for task in blamed]

    def _count_failed_start(self, death: str) -> None:
        self.failed_starts += 1
        if self.failed_starts >= _MAX_FAILED_STARTS:
            raise BlankstreamError(
                f"a worker process ended {self.failed_starts} times before it was ready ({death}); "
                "look at what it printed, or use --executor serial"
            )

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other,), daemon=True)
        with _surroundings_of_a_worker():
            self.process.start()
        other.close()

    def _begin(self) -> None:
        """Only a worker that listens is sent anything: a full pipe would hold up the driver."""
        self.is_ready, self.failed_starts = True, 0
        for task in self.tasks:
            self._send(task)

    def _send(self, task: Task) -> None:
        """A worker that is gone is noticed when it is next listened to."""
        arguments = task.arguments
        if arguments and arguments[0] is self.shared:
            arguments = (SAME_AS_BEFORE, *arguments[1:])
        assert self.pipe
        try:
            self.pipe.send((task.function, arguments))
        except OSError:
            return
        self.shared = task.arguments[0] if arguments else None


@contextmanager
def _surroundings_of_a_worker() -> Iterator[None]:
    """One thread for each library, and no Ctrl-C before the worker ignores it; it inherits both."""
    added = [name for name in THREAD_VARIABLES if name not in os.environ]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
