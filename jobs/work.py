"""What workers call for each step of a work item's life: four functions and what they share.

Stands between `jobs/build.py`, which names the functions, and `drive.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.steps import Build, Count, Locate, Probe, Step
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemResult


@dataclass(frozen=True)
class Work:
    """What workers call, all with `context` first; functions of modules, for they are sent there.

    `build` commits the item without the documents `excluded`; `count` says how many documents it
    has; `probe` builds those from `first` up to `stop` into nowhere; `locate` says which one
    `number` is, and leaves reason and detail empty.
    """

    context: Any
    build: Callable[[Any, WorkItem, tuple[Exclusion, ...]], ItemResult]
    count: Callable[[Any, WorkItem], int]
    probe: Callable[[Any, WorkItem, tuple[Exclusion, ...], int, int], None]
    locate: Callable[[Any, WorkItem, int], Exclusion]

    def call_of(self, step: Step) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The function of a step, and its arguments behind context and item."""
        match step:
            case Build(excluded):
                return self.build, (excluded,)
            case Count():
                return self.count, ()
            case Probe(excluded, first, stop):
                return self.probe, (excluded, first, stop)
            case Locate(number):
                return self.locate, (number,)
