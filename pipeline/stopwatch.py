"""Where the time of a work item goes, by stage, each second counted once."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Counts seconds for the stage it is in; an inner stage interrupts the outer one."""

    def __init__(self, stage: str) -> None:
        self._stage, self._since = stage, time.perf_counter()
        self.seconds: dict[str, float] = defaultdict(float)

    def switch(self, stage: str) -> str:
        """Enter `stage`; returns the one it was in."""
        before, now = self._stage, time.perf_counter()
        self.seconds[before] += now - self._since
        self._stage, self._since = stage, now
        return before

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block for `name`."""
        before = self.switch(name)
        try:
            yield
        finally:
            self.switch(before)

    def total(self) -> dict[str, float]:
        """Seconds by stage up to this moment."""
        self.switch(self._stage)
        return dict(self.seconds)
