"""`status.json`: what a build that runs says of itself for others, and what is left of one that
did not end well.

Written by the driver, read by `status.py`. It is no part of the data set: nothing is decided by it.
"""

import json
import math
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Self

from jobs.progress.build_speed import BuildSpeed
from jobs.progress.build_state import BuildState, WorkerState
from jobs.progress.process_mark import is_alive, process_mark
from jobs.progress.worker_table import busy_share, rows_per_second
from pipeline.stores.store import Store
from schemas.config import parse_config
from schemas.errors import BlankstreamError
from schemas.names import STATUS_NAME

STATUS_VERSION = 1
LOCAL_EVERY_SECONDS, REMOTE_EVERY_SECONDS = 2.0, 30.0

_COUNTERS = (
    *("total", "before", "done", "rows", "documents", "source_bytes", "total_source_bytes"),
    *("text_bytes", "bad", "excluded", "retries", "in_flight"),
)


@dataclass(frozen=True)
class WorkerStatus:
    """One worker; `item` is what it is building, for `item_seconds`, empty when it is idle or not
    known. `rows_per_second` is while it works, `busy` the part (0..1) of the time in which it did.
    """

    name: str
    item: str
    item_seconds: float
    items: int
    rows: int
    rows_per_second: float
    busy: float
    deaths: int


@dataclass(frozen=True)
class BuildStatus:
    """One moment of a driver. `started` and `updated` are unix times, `every_seconds` how often it
    writes; `process` tells its process from a later one of the same `pid`, empty where unknown.

    `counters` are those of `BuildState`, `stage_seconds` the workers' by stage; `seconds_left` is
    None while nothing can be said. `error` is why the driver ended, empty while it runs.
    """

    pid: int
    host: str
    process: str
    release: str
    started: float
    updated: float
    every_seconds: float
    executor: str
    message: str
    error: str
    counters: dict[str, int]
    stage_seconds: dict[str, float]
    rows_per_second: float
    seconds_left: float | None = None
    workers: tuple[WorkerStatus, ...] = ()

    def to_json(self) -> str:
        """Inverse of `from_json`."""
        content = {"version": STATUS_VERSION, **asdict(self)}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self | None:
        """What was written; None for another version and for anything else."""
        try:
            content = json.loads(text)
            if content.pop("version") != STATUS_VERSION:
                return None
            left, workers = content.pop("seconds_left"), content.pop("workers")
            if left is not None and not math.isfinite(left):
                return None
            return replace(
                parse_config(cls, content, STATUS_NAME),
                seconds_left=left,
                workers=tuple(parse_config(WorkerStatus, one, STATUS_NAME) for one in workers),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None


class StatusWriter:
    """Keeps `status.json` of `store` up to date with `state`, at most once in `every_seconds`.

    At best: a disk or a server that fails here harms no build. Another driver of the same data set
    writes over it.
    """

    def __init__(self, store: Store, state: BuildState, every_seconds: float) -> None:
        self._store, self._state, self._every = store, state, every_seconds
        self._speed = BuildSpeed(state, time.monotonic())
        self._started = time.time()
        self._next = 0.0

    def maybe_write(self) -> None:
        """Write when it is time; cheap when it is not."""
        now = time.monotonic()
        if now >= self._next:
            self._write("")
            # A slow server must not hold up the build more than now and then.
            self._next = max(now + self._every, time.monotonic() + (time.monotonic() - now))

    def finish(self, error: str | None) -> None:
        """Remove the file after a build that ended well (None), else leave `error` in it.

        That of another driver which may be at work stays.
        """
        if error is not None:
            self._write(error or "unknown")
            return
        with suppress(OSError, BlankstreamError):
            found = BuildStatus.from_json(self._store.read(STATUS_NAME).decode("utf-8", "replace"))
            if found is not None and _may_go(found):
                self._store.remove(STATUS_NAME)

    def _write(self, error: str) -> None:
        with suppress(OSError, BlankstreamError):
            self._store.replace(STATUS_NAME, self._status(error).to_json().encode())

    def _status(self, error: str) -> BuildStatus:
        state, now = self._state, time.monotonic()
        left = self._speed.seconds_left(now)
        return BuildStatus(
            *_ourselves(),
            release=version("blankstream"),
            started=round(self._started, 3),
            updated=round(time.time(), 3),
            every_seconds=self._every,
            executor=state.executor,
            message=state.message,
            error=error,
            counters={name: getattr(state, name) for name in _COUNTERS},
            rows_per_second=round(self._speed.pace(now).rows, 3),
            seconds_left=None if left is None else round(left, 3),
            stage_seconds={name: round(spent, 3) for name, spent in state.stage_seconds.items()},
            workers=tuple(_worker(one, state, now) for one in list(state.workers.values())),
        )


def _ourselves() -> tuple[int, str, str]:
    """Pid, host and mark of this process."""
    return os.getpid(), socket.gethostname(), process_mark(os.getpid())


def _may_go(status: BuildStatus) -> bool:
    """Whether it is ours, its driver has said that it ended, or is no process of this host."""
    if (status.pid, status.host, status.process) == _ourselves() or status.error:
        return True
    return status.host == socket.gethostname() and not is_alive(status.pid, status.process)


def _worker(worker: WorkerState, state: BuildState, now: float) -> WorkerStatus:
    return WorkerStatus(
        name=worker.name,
        item=worker.item,
        item_seconds=round(max(0.0, now - worker.since), 3) if worker.item else 0.0,
        items=worker.items,
        rows=worker.rows,
        rows_per_second=round(rows_per_second(worker), 3),
        busy=round(busy_share(worker, state, now), 4),
        deaths=worker.deaths,
    )
