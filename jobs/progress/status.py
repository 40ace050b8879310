"""`blankstream status`: what is known of a data set, whether it is being built, done or left.

What is built is told by the records; `status.json` (`status_file.py`) adds how fast it goes and
what the last driver said.
"""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal

from jobs.metrics import METRICS_NAME
from jobs.progress.build_lines import duration
from jobs.progress.dataset_facts import FinishedFacts, read_finished_facts, read_plan_facts
from jobs.progress.process_mark import is_alive
from jobs.progress.status_file import BuildStatus
from jobs.runs import DATA_NAME
from pipeline.stores.store import Store
from schemas.errors import BlankstreamError, DatasetError
from schemas.names import (
    MANIFEST_NAME,
    PLAN_NAME,
    SPLITTER_NAME,
    STATUS_NAME,
    TOKENIZER_FOLDER,
)

State = Literal["running", "silent", "stopped", "finished"]

_LATE_SECONDS, _LATE_WRITES = 20.0, 4.0
_SHOWN_WORKERS = 12
_NO_PLAN = f"{PLAN_NAME} is missing; run `blankstream repair` on the data set"


@dataclass(frozen=True)
class DatasetStatus:
    """What is known of the data set at `place`.

    `state` is `running`; `silent`, when a driver was not heard of in time though its process is
    there; `stopped`, when there is something to build and nobody does; or `finished`. `done` of
    `total` items have a record; `finished` is None before the first manifest, `driver` where there
    is no status file that can be read. `age_seconds` is since the driver wrote it. `problem` says
    what is damaged, and what to do.
    """

    place: str
    state: State
    done: int
    total: int
    generations: int
    finished: FinishedFacts | None
    driver: BuildStatus | None = field(default=None)
    age_seconds: float = 0.0
    problem: str = ""

    def to_json(self) -> str:
        """For programs; keys stay as they are, more may come."""
        return json.dumps(asdict(self), indent=1)


def read_status(store: Store, count_records: Callable[[], tuple[int, int]]) -> DatasetStatus:
    """Status of the data set in `store`; `count_records` gives items built and planned.

    Raises `DatasetError` for a place that holds no data set, nor one that was begun, but a run or
    anything else, and for a damaged plan or manifest.
    """
    plan = read_plan_facts(store)
    finished = read_finished_facts(store)
    driver = _read_driver(store)
    if plan is None and finished is None and driver is None:
        _check_begun(store)
    generations, plan_digest = (plan.generations, plan.digest) if plan else (0, "")
    done, total = (0, 0) if plan is None else count_records()
    age = 0.0 if driver is None else max(0.0, time.time() - driver.updated)
    state = _state(driver, age)
    if state == "stopped" and finished is not None and done == total:
        is_whole = plan is None or finished.plan_digest == plan_digest
        state = "finished" if is_whole else "stopped"
    facts = (store.place, state, done, total, generations, finished, driver, round(age, 1))
    return DatasetStatus(*facts, problem=_NO_PLAN if finished and plan is None else "")


def _read_driver(store: Store) -> BuildStatus | None:
    try:
        return BuildStatus.from_json(store.read(STATUS_NAME).decode("utf-8", "replace"))
    except (OSError, BlankstreamError):
        return None


def _check_begun(store: Store) -> None:
    """Raise `DatasetError` unless a build has begun there that has no plan yet."""
    if store.size(DATA_NAME) is not None:
        raise DatasetError(
            f"{store.place}: is a training run, not a data set; {METRICS_NAME} in it says how far "
            f"it is, {DATA_NAME} which data sets it reads"
        )
    if store.size(SPLITTER_NAME) is None and not store.files(TOKENIZER_FOLDER):
        raise DatasetError(
            f"{store.place}: holds no data set ({PLAN_NAME} and {MANIFEST_NAME} are missing); give "
            "the folder that was the --output of a build"
        )


def _state(driver: BuildStatus | None, age: float) -> State:
    """What the driver's file says by itself; no file is no driver."""
    if driver is None or driver.error:
        return "stopped"
    is_late = age > max(_LATE_SECONDS, _LATE_WRITES * driver.every_seconds)
    if driver.host != socket.gethostname():
        return "stopped" if is_late else "running"
    if not is_alive(driver.pid, driver.process):
        return "stopped"
    return "silent" if is_late else "running"


def render_status(status: DatasetStatus) -> str:
    """Lines for people."""
    lines = [f"{status.place}: {_headline(status)}"]
    if status.problem:
        lines.append(f"  damaged: {status.problem}")
    if status.total:
        share = status.done / status.total
        lines.append(
            f"  items: {status.done:,} of {status.total:,} built ({share:.0%}), "
            f"{status.generations:,} generation{'' if status.generations == 1 else 's'}"
        )
    if status.finished is not None:
        facts = status.finished
        rows = ", ".join(f"{count:,} {split}" for split, count in facts.rows.items())
        lines.append(f"  rows: {rows}; version {facts.version}")
        lines.append(f"  digest: {facts.digest}; of the rows: {facts.content_digest}")
    if status.driver is not None:
        lines += _driver_lines(status, status.driver)
    return "\n".join(lines)


def _headline(status: DatasetStatus) -> str:
    driver = status.driver
    heard = f"last heard of {duration(status.age_seconds)} ago"
    if status.state == "finished":
        return "finished"
    if status.state == "running":
        return "being built"
    if status.state == "silent":
        return f"its driver is {heard}, but its process {driver.pid if driver else '?'} is there"
    again = "run the same `blankstream build` again to go on"
    return f"not being built, {again}" + (f"; its driver was {heard}" if driver else "")


def _driver_lines(status: DatasetStatus, driver: BuildStatus) -> list[str]:
    where = f"pid {driver.pid} on {driver.host}, {driver.executor or 'no'} executor"
    lines = [f"  driver: {where}, {duration(driver.updated - driver.started)} at work"]
    if driver.error:
        lines.append(f"  ended with: {driver.error}")
    elif driver.message:
        lines.append(f"  last said: {driver.message}")
    counted = {name: driver.counters.get(name, 0) for name in ("retries", "bad", "excluded")}
    lines.append(
        f"  this driver: {driver.counters.get('done', 0):,} items, "
        f"{driver.counters.get('rows', 0):,} rows, {counted['retries']:,} retried, "
        f"{counted['bad']:,} bad input, {counted['excluded']:,} documents excluded"
    )
    if status.state == "running":
        left = driver.seconds_left
        until = "" if left is None else f", {duration(left)} left"
        lines.append(f"  speed: {driver.rows_per_second:,.0f} rows/s{until}")
        lines += _worker_lines(driver)
    return lines


def _worker_lines(driver: BuildStatus) -> list[str]:
    lines = []
    for worker in driver.workers[:_SHOWN_WORKERS]:
        item = f", at {worker.item} for {duration(worker.item_seconds)}"
        lines.append(
            f"    {worker.name}: {worker.items:,} items, "
            f"{worker.rows_per_second:,.0f} rows/s, {worker.busy:.0%} busy"
            f"{item if worker.item else ''}"
        )
    more = len(driver.workers) - _SHOWN_WORKERS
    return lines + ([f"    and {more:,} more workers"] if more > 0 else [])
