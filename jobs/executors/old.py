"""Executors: map `build_work_item` over work items, here or on Ray, with the same bytes.

Stand between `jobs/build.py` and `pipeline/build.py`. An executor only decides where an item runs;
results are records of a few hundred bytes, in any order.
"""

import importlib.util
import multiprocessing
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any

from pipeline.build import BuildContext, build_work_item
from schemas.errors import BlankstreamError, UserError
from schemas.plan import WorkItem
from schemas.record import ItemRecord

EXECUTORS = ("serial", "processes", "ray")

_ITEMS_IN_FLIGHT_PER_WORKER = 2
_WATCH_SECONDS = 1.0

OnDone = Callable[[ItemRecord], None]


def default_executor() -> str:
    """`ray` where it is installed, else `processes`."""
    return "ray" if importlib.util.find_spec("ray") else "processes"


def run_items(
    executor: str, context: BuildContext, items: Iterable[WorkItem], workers: int, on_done: OnDone
) -> None:
    """Build every item; `on_done` sees each record as it is committed, in no fixed order.

    The first error ends the run and is raised; items committed before stay built.
    """
    runners = {"serial": _run_serial, "processes": _run_processes, "ray": _run_ray}
    runners[executor](context, items, workers, on_done)


def _run_serial(
    context: BuildContext, items: Iterable[WorkItem], workers: int, on_done: OnDone
) -> None:
    for item in items:
        on_done(build_work_item(context, item))


def _run_processes(
    context: BuildContext, items: Iterable[WorkItem], workers: int, on_done: OnDone
) -> None:
    method = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, method, initializer=_end_with_parent) as pool:
        waiting = iter(items)
        running: set[Future[ItemRecord]] = set()
        try:
            while True:
                free = workers * _ITEMS_IN_FLIGHT_PER_WORKER - len(running)
                running |= {
                    pool.submit(build_work_item, context, item) for item in islice(waiting, free)
                }
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    on_done(future.result())
        except BrokenProcessPool as error:
            raise _worker_died(error) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """Watch for the end of the driver, which a killed one cannot announce."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="blankstream-watch").start()


def _run_ray(
    context: BuildContext, items: Iterable[WorkItem], workers: int, on_done: OnDone
) -> None:
    with local_ray(workers) as ray:
        task = ray.remote(build_work_item).options(max_retries=3)
        shared = ray.put(context)
        waiting = iter(items)
        running: list[Any] = []
        while True:
            free = workers * _ITEMS_IN_FLIGHT_PER_WORKER - len(running)
            running += [task.remote(shared, item) for item in islice(waiting, free)]
            if not running:
                return
            done, running = ray.wait(running)
            on_done(_result(ray, done[0]))


def _result(ray: Any, reference: Any) -> ItemRecord:
    """The record, or the task's own exception instead of Ray's wrapping of it."""
    try:
        record: ItemRecord = ray.get(reference)
        return record
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise _worker_died(error) from error


def _worker_died(error: Exception) -> BlankstreamError:
    return BlankstreamError(
        f"a worker process died ({type(error).__name__}), perhaps for lack of memory; what was "
        "finished stays: run the same command again, with fewer --workers if it happens again"
    )


@contextmanager
def local_ray(workers: int) -> Iterator[Any]:
    """A Ray of our own on loopback, or the one that is already running in this process.

    Ours has no dashboard, asks for a random token, keeps its files in a temporary folder, and ends
    with the block. Yields the module `ray`; `UserError` when it is not installed.
    """
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    with tempfile.TemporaryDirectory(prefix="bs-", ignore_cleanup_errors=True) as folder:
        ray.init(
            "local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
        try:
            yield ray
        finally:
            ray.shutdown()


def _import_ray() -> Any:
    """Ray reads its environment when it is imported, so that is set first."""
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "executor 'ray' needs Ray, which is not installed; install blankstream[build] or use "
            "--executor processes"
        ) from error
    return ray
