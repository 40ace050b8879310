"""Waits that end early: somebody sets a `Stop`, and whoever waits for a server, a lock or room
gives up.

Stands below stores and caches, which look at it between and inside their waits.
"""

import os
import time

from schemas.errors import StorageError

LOOK_SECONDS = 0.05
"""How often a `Stop` is looked at during a longer wait."""


class StoppedError(StorageError):
    """A wait was given up because somebody said so, not because anything failed."""


class Stop:
    """Ends the waits of those who look at it, from when it is set until it is cleared.

    It has no lock, so that the child of a fork, in which it begins unset, can use it whatever the
    threads of its parent were doing.
    """

    def __init__(self) -> None:
        self._process = 0

    @property
    def is_set(self) -> bool:
        """Whether this process has set it."""
        return self._process == os.getpid()

    def set(self) -> None:
        """End all waits, those that begin later too."""
        self._process = os.getpid()

    def clear(self) -> None:
        """Let whoever begins a wait wait."""
        self._process = 0

    def check(self, what: str) -> None:
        """Raise `StoppedError` for `what` (a path or URL) once it is set."""
        if self.is_set:
            raise StoppedError(f"{what}: given up, since it is not to be waited for any more")

    def pause(self, seconds: float, what: str) -> None:
        """Sleep for `seconds`, or until it is set: then as `check`."""
        until = time.monotonic() + seconds
        self.check(what)
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
            self.check(what)


NEVER = Stop()
"""For waits that nobody ends; nobody may set it."""
