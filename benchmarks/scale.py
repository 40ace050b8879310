"""Planning, driving and finishing builds of very many work items, without building them.

The plan's tables, the search for what is not built, the driver, the survey and the shard table are
the real ones; the tasks return at once, and records are made when they are read. Prints one JSON
line per stage: seconds per million items, megabytes of memory more than at the start of the stage
after a quarter, a half and all of the items, and bytes that each further item costs (the last
three quarters). What is kept on the disk follows in the last line.

    python -m benchmarks.scale [ITEMS] [--executor processes|ray] [--write]
"""

import argparse
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.corpus import write_jsonl
from benchmarks.fake_records import FakeStore
from jobs.build import BuildRequest, build_dataset
from jobs.build_state import BuildState
from jobs.drive import drive
from jobs.executors.calls import call
from jobs.executors.choice import open_executor
from jobs.executors.executor import Executor, ExecutorOptions, Outcome
from jobs.isolation import Limits
from jobs.plan_build import read_plan
from jobs.work import Work
from pipeline.finish import make_manifest
from pipeline.plan_tables import PlanReader, PlanTablesWriter
from pipeline.probe import count_documents, locate_document, probe_documents
from pipeline.records import commit_record, read_record, unbuilt
from pipeline.stores.local import LocalStore
from pipeline.survey import Survey
from schemas.build_config import BuildConfig, TokenizerConfig
from schemas.plan import InputFile, Plan, SourceRange, WorkItem
from schemas.record import Exclusion, ItemRecord, ItemResult
from tests.corpus import NoProgress

Thing = TypeVar("Thing")

DOCUMENTS_PER_ITEM = 10
ITEM_BYTES = 64 * 2**20


@dataclass
class Meter:
    """Time and memory of one stage over `total` things that pass through it."""

    stage: str
    total: int
    started: float = field(default_factory=time.perf_counter)
    memory: list[int] = field(default_factory=lambda: [resident_bytes()])

    def through(self, things: Iterable[Thing]) -> Iterator[Thing]:
        """`things` as they are; memory is looked at after a quarter, a half, and all."""
        marks = {self.total // 4, self.total // 2, self.total}
        for count, thing in enumerate(things, start=1):
            yield thing
            if count in marks:
                self.memory.append(resident_bytes())

    def line(self, not_counted: float = 0.0, **more: object) -> dict[str, Any]:
        """What is printed; `not_counted` are seconds that a build would not spend."""
        seconds = time.perf_counter() - self.started - not_counted
        start, quarter, *_, end = self.memory
        return {
            "benchmark": "scale",
            "stage": self.stage,
            "items": self.total,
            "seconds_per_million": round(seconds * 1e6 / self.total, 2),
            "memory_megabytes": [round((one - start) / 1e6, 1) for one in self.memory[1:]],
            "bytes_per_item": round((end - quarter) / (0.75 * self.total), 1),
            **more,
        }


def resident_bytes() -> int:
    """Memory of this process that is not on disk."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class AtOnce:
    """An `Executor` of this process: what was submitted has been done when one waits."""

    slots, workers = 64, 32

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, task: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Keep it."""
        self._waiting.append((task, function, arguments))

    def wait(self, seconds: float) -> list[Outcome]:
        """Do all."""
        done = []
        while self._waiting:
            task, function, arguments = self._waiting.popleft()
            reply = call(function, *arguments)
            name = f"worker {task % self.workers}"
            done.append(Outcome(task, name, reply.seconds, reply.result, reply.error))
        return done

    def running(self) -> dict[str, int]:
        """Nothing."""
        return {}


def build_nothing(
    context: object, item: WorkItem, excluded: tuple[Exclusion, ...]
) -> ItemResult:
    """In place of `build_work_item`."""
    seconds = {"check": 0.01, "tokens": 5.0, "samples": 1.0, "rows": 1.0}
    return ItemResult(item.name, 4000, 9000, item.slice.bytes, item.slice.bytes, 0, seconds)


def write_record(
    context: tuple[str, ItemRecord], item: WorkItem, excluded: tuple[Exclusion, ...]
) -> ItemResult:
    """As `build_nothing`, and commit a record."""
    commit_record(LocalStore(Path(context[0])), item, context[1])
    return build_nothing(context, item, excluded)


def built_record(folder: Path) -> tuple[dict[str, Any], ItemRecord]:
    """Recipe and record of a small data set that is really built."""
    folder.mkdir()
    write_jsonl(folder / "text.jsonl", 0.5)
    config = BuildConfig(
        heldout_ratio=0.1, tokenizer=TokenizerConfig(vocab_size=2000, sample_characters=300_000)
    )
    request = BuildRequest(config, [folder / "text.jsonl"], folder / "d", "serial", 1)
    build_dataset(request, NoProgress())
    store = LocalStore(folder / "d")
    plan = read_plan(store)
    assert plan
    with PlanReader(store, plan) as reader:
        record = read_record(store, next(reader.items()))
    assert record
    return plan.recipe, record


def write_plan(store: LocalStore, recipe: dict[str, Any], meter: Meter) -> Plan:
    """A plan of one slice for each of the meter's items."""
    writer = PlanTablesWriter(store, 0)
    writer.add_input(InputFile("input.jsonl", meter.total * ITEM_BYTES, "0" * 64))
    edges = range(0, meter.total * ITEM_BYTES, ITEM_BYTES)
    groups = (
        (SourceRange("input.jsonl", start, start + ITEM_BYTES, f"{start:032x}"),) for start in edges
    )
    plan = Plan(recipe).grow(writer.write(meter.through(groups)), 1)
    store.replace("plan.json", plan.to_json().encode())
    return plan


def drain(things: Iterable[object]) -> None:
    deque(things, maxlen=0)


@contextmanager
def opened(name: str) -> Iterator[Executor]:
    """The executor `name` with two workers; without a name, tasks are done in this process."""
    if not name:
        yield AtOnce()
        return
    with open_executor(ExecutorOptions(name, 2)) as executor:
        yield executor


def run(items: int, executor: str, writes: bool) -> Iterator[dict[str, Any]]:
    """The lines, one after another."""
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        folder = Path(name)
        recipe, record = built_record(folder / "template")
        store = FakeStore(folder, record, DOCUMENTS_PER_ITEM)
        meter = Meter("plan", items)
        plan = write_plan(store, recipe, meter)
        yield meter.line()
        with PlanReader(store, plan) as reader:
            yield from _sweeps(reader, store, folder)
            yield _driven(reader, (executor, writes), (folder / "written", record))
            yield from _finished(reader, store, folder)


def _sweeps(reader: PlanReader, store: FakeStore, folder: Path) -> Iterator[dict[str, Any]]:
    total = reader.plan.num_items
    meter = Meter("items", total)
    drain(meter.through(reader.items()))
    yield meter.line()
    meter = Meter("unbuilt, nothing built", total)
    drain(meter.through(unbuilt(LocalStore(folder / "none"), reader.items())))
    yield meter.line()
    meter = Meter("unbuilt, all built", total)
    made = store.seconds
    drain(unbuilt(store, meter.through(store.known(reader.items()))))
    yield meter.line(store.seconds - made)


def _driven(
    reader: PlanReader, how: tuple[str, bool], where: tuple[Path, ItemRecord]
) -> dict[str, Any]:
    (executor_name, writes), (folder, record) = how, where
    total = reader.plan.num_items
    build = write_record if writes else build_nothing
    work = Work((str(folder), record), build, count_documents, probe_documents, locate_document)
    state = BuildState(total=total)
    with opened(executor_name) as executor:
        meter, before = Meter("drive", total), time.process_time()
        items = meter.through(reader.items())
        drive(executor, items, work, state, lambda: None, Limits())
        driver = time.process_time() - before
        assert state.done == total
        more = {"driver_cpu_seconds_per_million": round(driver * 1e6 / total, 2)}
        return meter.line(executor=executor_name or "at once", writes=writes, **more)


def _finished(reader: PlanReader, store: FakeStore, folder: Path) -> Iterator[dict[str, Any]]:
    total, made = reader.plan.num_items, store.seconds
    with Survey(store) as survey:
        meter = Meter("survey", total)
        survey.take(meter.through(store.known(reader.items())))
        assert not survey.lost
        yield meter.line(store.seconds - made, documents=total * DOCUMENTS_PER_ITEM)
        meter = Meter("table", survey.num_shards)
        survey.entries = lambda entries=survey.entries: meter.through(entries())
        manifest = make_manifest(store, reader, survey, 0, 0.01)
        yield meter.line()
    sizes = {
        "plan": sum(file.stat().st_size for file in (folder / "plan").iterdir()),
        "table": manifest.table.hashes.bytes,
        "manifest": len(manifest.to_json()),
    }
    per_million = {name: round(size / total, 3) for name, size in sizes.items()}
    yield {"benchmark": "scale", "stage": "sizes", "megabytes_per_million_items": per_million}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="See the module's docstring.")
    parser.add_argument("items", nargs="?", type=int, default=100_000)
    parser.add_argument("--executor", default="", help="for the driver; default: at once")
    parser.add_argument("--write", action="store_true", help="tasks commit a record each")
    asked = parser.parse_args(arguments)
    for line in run(asked.items, asked.executor, asked.write):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
