"""What is known of a running build at one moment: the driver counts, screens and files show it."""

import time
from dataclasses import dataclass, field

from schemas.record import ItemResult

STAGES = ("check", "read", "sentences", "tokens", "samples", "rows", "commit")
"""Keys of `ItemResult.seconds`, in the order of the work."""


@dataclass
class WorkerState:
    """One worker; `item` is what it is building, empty when that is not known or it is idle."""

    name: str
    item: str = ""
    since: float = 0.0
    """When it began with `item`, or was last heard of: seconds of `time.monotonic`."""
    items: int = 0
    rows: int = 0
    busy_seconds: float = 0.0
    deaths: int = 0


@dataclass
class BuildState:
    """Counted since this driver began to build; `total` and `before` count items of the plan.

    `stage_seconds` are seconds of workers by stage (`ItemResult.seconds`), `source_bytes` bytes of
    input as stored, `total_source_bytes` those of all items of the plan, 0 where not known.
    `retries` are items that were started again, `excluded` documents that killed a worker or failed
    it, `bad` other input that could not be used. Times are of `time.monotonic`.
    """

    total: int = 0
    before: int = 0
    done: int = 0
    rows: int = 0
    documents: int = 0
    source_bytes: int = 0
    text_bytes: int = 0
    total_source_bytes: int = 0
    bad: int = 0
    excluded: int = 0
    retries: int = 0
    in_flight: int = 0
    executor: str = ""
    num_workers: int = 0
    message: str = ""
    """What the driver does, or last said."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    workers: dict[str, WorkerState] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def add(self, result: ItemResult) -> None:
        """Count an item that was committed."""
        self.done += 1
        self.rows += result.rows
        self.documents += result.documents
        self.source_bytes += result.source_bytes
        self.text_bytes += result.text_bytes
        self.bad += result.bad
        for stage, seconds in result.seconds.items():
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds
