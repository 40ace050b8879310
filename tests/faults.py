"""What a server does wrong, by chance from a seed or by a script: data of `object_server.py`."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

FAULTS = ("error", "throttle", "denied", "reset", "lost", "sleep", "short", "cut")
"""500; 503 SlowDown; 403; the connection closed before anything was done, and after it; an answer
that is late; a body shorter than the object with a length to match; one that ends early."""

WRONG = "wrong"
"""A body of the right length, one bit of which is flipped: no store can tell."""


@dataclass
class Faults:
    """What goes wrong: first the requests of `script`, then each with the probabilities of `rates`.

    `injected` counts what did go wrong; a body of less than two bytes cannot be cut.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    script: Iterable[str | None] = ()
    seed: int = 0
    sleep_seconds: float = 1.0
    injected: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        assert {*self.rates} | {*filter(None, self.script)} <= {*FAULTS, WRONG}
        self._script, self._random = iter(self.script), random.Random(self.seed)

    def drawn(self) -> str | None:
        """The fault of the next request."""
        with suppress(StopIteration):
            return next(self._script)
        drawn = self._random.random()
        for fault, rate in self.rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None
