"""Which executor, with how many workers: the one place that knows all three.

Stands between the commands and `jobs/drive.py`.
"""

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from jobs.executors.executor import EXECUTORS, Executor, ExecutorOptions
from jobs.executors.processes import ProcessExecutor
from jobs.executors.ray_session import cluster_ray, own_ray
from jobs.executors.ray_tasks import RayExecutor, largest_memory
from jobs.executors.serial import SerialExecutor
from pipeline.machine_memory import available_memory
from schemas.errors import UserError

ADDRESS_VARIABLE = "RAY_ADDRESS"
"""Where Ray says which cluster is meant; `ray job submit` sets it for the command it runs."""


def default_executor() -> str:
    """`ray` where it is installed or a cluster is named, else `processes`."""
    is_ray = os.environ.get(ADDRESS_VARIABLE) or importlib.util.find_spec("ray")
    return "ray" if is_ray else "processes"


@contextmanager
def open_executor(options: ExecutorOptions) -> Iterator[Executor]:
    """The executor asked for; its workers end with the block, whatever they are doing.

    On this machine only as many workers run as have `memory_bytes` each, and at least one;
    `options.notes` says so where that is fewer. On a Ray cluster, which decides itself how many
    run, it is reserved for each task where nodes declare their memory. `UserError` for an unknown
    name, and when a cluster does not answer; `MissingPackageError` without Ray.
    """
    kinds: dict[str, Callable[[ExecutorOptions], AbstractContextManager[Executor]]] = {
        "serial": _serial,
        "processes": _processes,
        "ray": _ray,
    }
    if options.name not in kinds:
        known = ", ".join(EXECUTORS)
        raise UserError(f"executor '{options.name}' is unknown; choose from {known}")
    with kinds[options.name](options) as executor:
        yield executor


def admitted_workers(options: ExecutorOptions, available: int | None) -> int:
    """Workers that fit into `available` bytes of memory (None: not known)."""
    workers = max(1, options.workers)
    if not options.memory_bytes or available is None:
        return workers
    fitting = max(1, available // options.memory_bytes)
    if fitting < workers:
        options.notes.append(
            f"{fitting} of {workers} workers: each may need {_gigabytes(options.memory_bytes)} of "
            f"the {_gigabytes(available)} of memory that are free"
        )
    return min(workers, fitting)


@contextmanager
def _serial(options: ExecutorOptions) -> Iterator[Executor]:
    yield SerialExecutor()


@contextmanager
def _processes(options: ExecutorOptions) -> Iterator[Executor]:
    executor = ProcessExecutor(admitted_workers(options, available_memory()))
    try:
        yield executor
    finally:
        executor.close()


@contextmanager
def _ray(options: ExecutorOptions) -> Iterator[Executor]:
    address = options.address or os.environ.get(ADDRESS_VARIABLE, "")
    if address and address != "local":
        with cluster_ray(address) as ray:
            memory = min(options.memory_bytes, largest_memory(ray))
            yield RayExecutor(ray, None, memory)
        return
    workers = admitted_workers(options, available_memory())
    with own_ray(workers, options.dashboard, options.notes) as ray:
        yield RayExecutor(ray, workers)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
