"""Signals that end a command: the first ends it in order, as Ctrl-C does, a second at once.

Installed by `cli.py` for the time of one command, and kept by `ray_session.py` against Ray, which
would put handlers of its own in their place.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

_SHOW_CURSOR = b"\x1b[?25h"
_SAME_SECONDS = 0.5
"""A closing terminal, its shell and a scheduler may each send a signal, and mean one end."""

_AGAIN_SECONDS = 0.05


class Interrupted(KeyboardInterrupt):
    """The command was told to end; as an exception it lets every block clear up behind itself."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted ({signal.Signals(number).name})")


@dataclass
class Received:
    """What came while signals were handled: the first signal, 0 for none, and when."""

    number: int = 0
    at: float = 0.0
    pid: int = field(default_factory=os.getpid)
    handled: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`SIGTERM`; `SIGINT` where none was seen, as when a question is not answered."""
        return signal.Signals(self.number or signal.SIGINT).name

    @property
    def status(self) -> int:
        """What shells expect of a command that a signal ended."""
        return 128 + (self.number or signal.SIGINT)


_current: list[Received] = []
"""At most one, but for tests."""


@contextmanager
def ending_signals() -> Iterator[Received]:
    """SIGINT, SIGTERM and SIGHUP raise `Interrupted` in this block.

    What was ignored stays ignored (`nohup`), what somebody else handles is left to them, and worker
    processes begin with the handling that Python gives them. Outside the main thread nothing
    changes.
    """
    received = Received()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in _ending()}
    ours = (signal.SIG_DFL, signal.default_int_handler)
    received.handled = [number for number, handler in before.items() if handler in ours]
    _current.append(received)
    unraisable, sys.unraisablehook = sys.unraisablehook, _unraisable
    try:
        handle_again()
        yield received
    finally:
        sys.unraisablehook = unraisable
        for number in received.handled:
            signal.signal(number, before[number])
        _current.remove(received)


def handle_again() -> None:
    """Put the handlers of `ending_signals` back; nothing outside such a block."""
    if is_handling():
        for number in _current[-1].handled:
            signal.signal(number, _interrupt)


def is_handling() -> bool:
    """Whether this is the main thread in a block of `ending_signals`."""
    return bool(_current) and threading.current_thread() is threading.main_thread()


def interruption(error: KeyboardInterrupt) -> KeyboardInterrupt:
    """`Interrupted` for the signal that came, where a library turned it into `error`."""
    if _current and _current[-1].number and not isinstance(error, Interrupted):
        return Interrupted(_current[-1].number)
    return error


def _ending() -> tuple[int, ...]:
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(number: int, frame: FrameType | None) -> None:
    received, now = _current[-1], time.monotonic()
    if received.pid != os.getpid():  # a process that was forked off
        _end_at_once(number)
    if not received.number:
        received.number, received.at = number, now
        raise Interrupted(number)
    if now - received.at >= _SAME_SECONDS:
        _show_cursor()
        _end_at_once(number)


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """An `Interrupted` that came where none can be raised, as in a finalizer, comes once more."""
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)
        return
    number, _current[-1].number = _current[-1].number, 0
    again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _end_at_once(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _show_cursor() -> None:
    """A bar may have hidden it."""
    with suppress(OSError, ValueError, AttributeError):
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), _SHOW_CURSOR + b"\r\n")
