"""One call of a task's function, where it runs: its result or its exception, as a plain reply.

Shared by the executors. A reply always survives the way back to the driver, whatever the function
raised.
"""

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.errors import BlankstreamError

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""What libraries read when they are loaded, to learn how many threads they may start."""


@dataclass(frozen=True)
class Reply:
    """What a call gave: `seconds` long, in the process that people know as `worker`."""

    worker: str
    seconds: float
    result: Any = None
    error: BaseException | None = None


def call(function: Callable[..., Any], *arguments: Any) -> Reply:
    """Call it; every exception is caught, panics of compiled libraries too, except Ctrl-C."""
    worker, started = f"pid {os.getpid()}", time.perf_counter()
    try:
        result = function(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Reply(worker, time.perf_counter() - started, error=error)
    return Reply(worker, time.perf_counter() - started, result)


def call_remotely(function: Callable[..., Any], *arguments: Any) -> Reply:
    """As `call`, in a process of its own: Arrow keeps to one thread, and errors are portable."""
    _limit_arrow()
    reply = call(function, *arguments)
    if reply.error is None:
        return reply
    where = "".join(traceback.format_tb(reply.error.__traceback__)).rstrip()
    error = portable(reply.error)
    error.add_note(f"raised in a worker:\n{where}")
    return Reply(reply.worker, reply.seconds, error=error)


def portable(error: BaseException) -> BaseException:
    """The error itself where any process can rebuild it, else one that says the same.

    Errors of ours and of the language stay; of others remain kind of failure (`OSError` with its
    number, `AssertionError`, `RuntimeError`), type and text.
    """
    kind = type(error)
    if kind.__module__ in ("builtins", BlankstreamError.__module__):
        return error
    text = f"{kind.__module__}.{kind.__qualname__}: {error}"
    if isinstance(error, OSError):
        return OSError(error.errno, text)
    return AssertionError(text) if isinstance(error, AssertionError) else RuntimeError(text)


def _limit_arrow() -> None:
    import pyarrow as pa

    if pa.cpu_count() > 1:
        pa.set_cpu_count(1)
        pa.set_io_thread_count(1)
