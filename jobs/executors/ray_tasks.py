"""Tasks on Ray, here or on the nodes of a cluster: one core task each, never retried by Ray.

An `Executor` (`executor.py`). A worker or node that is lost is an outcome like any other: the
driver decides what is tried again.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from jobs.executors.calls import Reply, call_remotely
from jobs.executors.executor import Outcome
from schemas.errors import BlankstreamError, UserError

_TASKS_PER_WORKER = 2
_REFRESH_SECONDS = 10.0


class RayExecutor:
    """One task per CPU: of the whole cluster, counted again now and then, or `workers` of them.

    The first argument of tasks is stored in Ray once, and loaded once by each worker, for as long
    as it stays the same object: it must not change meanwhile. `memory_bytes` is reserved for each
    task, 0 for nothing.
    """

    def __init__(self, ray: Any, workers: int | None, memory_bytes: int = 0) -> None:
        self._ray = ray
        self._fixed_workers = workers
        self._workers, self._counted = workers or 0, -_REFRESH_SECONDS
        options: dict[str, Any] = {"max_retries": 0, "num_cpus": 1}
        if memory_bytes:
            options["memory"] = memory_bytes
        self._call = ray.remote(_call_on_node).options(**options)
        self._tasks: dict[Any, int] = {}
        self._shared: Any = None
        self._shared_reference: Any = None
        self._deaths = (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError)
        self._node_losses = (
            ray.exceptions.NodeDiedError,
            ray.exceptions.LocalRayletDiedError,
            ray.exceptions.ObjectLostError,
            ray.exceptions.ObjectFetchTimedOutError,
        )

    @property
    def workers(self) -> int:
        """CPUs there are; nodes come and go, and a cluster may begin without any."""
        if self._fixed_workers is None:
            now = time.monotonic()
            if now - self._counted >= _REFRESH_SECONDS:
                resources = self._ray.cluster_resources()
                self._workers, self._counted = int(resources.get("CPU", 0)), now
        return max(1, self._workers)

    @property
    def slots(self) -> int:
        """Two tasks per CPU: while one runs the next is on its way."""
        return self.workers * _TASKS_PER_WORKER

    def submit(self, task: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Hand it to Ray."""
        if arguments and arguments[0] is not self._shared:
            self._shared, self._shared_reference = arguments[0], self._ray.put(arguments[0])
        shared = [self._shared_reference] if arguments else []
        self._tasks[self._call.remote(function, shared, *arguments[1:])] = task

    def wait(self, seconds: float) -> list[Outcome]:
        """As `Executor.wait`."""
        if not self._tasks:
            time.sleep(seconds)
            return []
        references = list(self._tasks)
        done, _ = self._ray.wait(references, timeout=seconds)
        if done:
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        return [self._outcome(reference, self._tasks.pop(reference)) for reference in done]

    def running(self) -> dict[str, int]:
        """Nothing: where a task runs is not known before it is done."""
        return {}

    def _outcome(self, reference: Any, task: int) -> Outcome:
        exceptions = self._ray.exceptions
        try:
            reply: Reply = self._ray.get(reference)
        except (*self._deaths, *self._node_losses) as error:
            death = f"{type(error).__name__}: {_first_line(error)}"
            return Outcome(task, "", death=death, lost_node=isinstance(error, self._node_losses))
        except exceptions.RayTaskError as error:
            return Outcome(task, "", error=_not_loaded(error))
        except exceptions.RayError as error:
            text = f"Ray cannot run tasks ({type(error).__name__}: {_first_line(error)})"
            return Outcome(task, "", error=BlankstreamError(text))
        return Outcome(task, reply.worker, reply.seconds, reply.result, reply.error)


def largest_memory(ray: Any) -> int:
    """Bytes of memory that the best node of the cluster lends to tasks, 0 where none says so."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return int(max((node.get("memory", 0) for node in nodes), default=0))


_held: dict[str, Any] = {}
"""In a worker: what its tasks share, by the name Ray gives it; one at most."""


def _call_on_node(function: Callable[..., Any], shared: list[Any], *arguments: Any) -> Reply:
    """`shared` holds a reference, which Ray does not follow there: none, or the first argument."""
    reply = call_remotely(function, *map(_loaded, shared), *arguments)
    return Reply(f"{_node()} {reply.worker}", reply.seconds, reply.result, reply.error)


def _loaded(reference: Any) -> Any:
    import ray

    name = reference.hex()
    if name not in _held:
        _held.clear()
        _held[name] = ray.get(reference)
    return _held[name]


@cache
def _node() -> str:
    import ray

    return str(ray.util.get_node_ip_address())


def _not_loaded(error: Any) -> UserError:
    """Every exception of a task is in its reply: this one came before the task could begin."""
    lines = str(error.cause).strip().splitlines() or [type(error.cause).__name__]
    return UserError(
        f"a worker of the Ray cluster cannot load a task ({lines[-1]}); install the same "
        "blankstream in the same Python on every node"
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")
