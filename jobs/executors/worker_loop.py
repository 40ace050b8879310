"""What a worker process does: take tasks from a pipe, call them in order, send replies back.

The other end of `processes.py`.
"""

import os
import signal
import threading
from collections.abc import Callable
from enum import Enum
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from jobs.executors.calls import Reply, call_remotely, portable


class Word(Enum):
    """Words of the two ends to each other."""

    READY = "ready"
    SAME_AS_BEFORE = "same as before"


READY = Word.READY
"""The first message of a worker; the others are replies."""
SAME_AS_BEFORE = Word.SAME_AS_BEFORE
"""In place of a first argument: that of the task before."""

_DRIVER_GONE = 1
"""Exit status of a worker that nobody listens to."""

Call = tuple[Callable[..., Any], tuple[Any, ...]]


def serve(pipe: Connection) -> None:
    """Serve until the driver is gone.

    A thread takes messages in at once, so that the driver never waits to send one, and so that the
    end of the driver is noticed in the middle of a task. Ctrl-C is left to the driver.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    calls: SimpleQueue[Call] = SimpleQueue()
    threading.Thread(target=_take_in, args=(pipe, calls), daemon=True).start()
    _send(pipe, READY)
    while True:
        function, arguments = calls.get()
        _send(pipe, call_remotely(function, *arguments))


def _take_in(pipe: Connection, calls: "SimpleQueue[Call]") -> None:
    shared: Any = None
    while True:
        try:
            function, arguments = pipe.recv()
        except (EOFError, OSError):
            os._exit(_DRIVER_GONE)
        except Exception as error:  # a class or function that cannot be imported here
            function, arguments = _raise, (error,)
        if arguments and arguments[0] is SAME_AS_BEFORE:
            function = _raise if isinstance(shared, Exception) else function
            arguments = (shared, *arguments[1:])
        shared = arguments[0] if arguments else None
        calls.put((function, arguments))


def _send(pipe: Connection, message: Word | Reply) -> None:
    try:
        pipe.send(message)
    except OSError:
        os._exit(_DRIVER_GONE)
    except Exception as error:  # a result that cannot be sent
        assert isinstance(message, Reply)
        pipe.send(Reply(message.worker, message.seconds, error=portable(error)))


def _raise(error: BaseException, *others: Any) -> None:
    raise error
