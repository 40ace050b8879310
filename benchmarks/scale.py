"""Planning, driving and finishing builds of very many work items, without building them.

The plan's tables, the search for what is not built, the driver, the survey and the shard table are
the real ones; the tasks return at once, and records are made when they are read. Prints one JSON
line per stage: CPU seconds of this process per million items, megabytes of memory more than at the
start of the stage after a quarter, a half and all of the items, and bytes that each further item
costs (the last three quarters). What is kept on the disk follows in the last line. The survey's
room for the hashes of documents (128 MB) is taken before it starts.

    python -m benchmarks.scale [ITEMS] [--documents NUMBER] [--executor processes|ray] [--write]
"""

import argparse
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from benchmarks.fake_records import FakeStore
from benchmarks.fake_work import build_nothing, built_record, opened, write_record
from benchmarks.meter import Meter
from jobs.drive import drive
from jobs.isolation import Limits
from jobs.progress.build_state import BuildState
from jobs.work import Work
from pipeline.finish import make_manifest
from pipeline.inputs import cut_ranges
from pipeline.plan_tables import PlanReader, PlanTablesWriter
from pipeline.probe import count_documents, locate_document, probe_documents
from pipeline.records import unbuilt
from pipeline.stores.local import LocalStore
from pipeline.survey import Survey
from schemas.build_config import BuildConfig
from schemas.manifest import SPLITS, ShardEntry
from schemas.plan import InputFile, Plan, SourceRange
from schemas.record import ItemRecord

_SHARED_MEMORY = "/dev/shm"  # noqa: S108
"""Where files cost least: those that are made for the benchmark are none of a build's."""

DOCUMENTS_PER_ITEM = 10
ITEM_BYTES = 64 * 2**20
CUT_BYTES = 500_000_000


def cut_line(folder: Path) -> dict[str, Any]:
    """What reading, cutting and hashing inputs costs, by their size."""
    text = folder / "input.txt"
    text.write_bytes(b"A line of text of no importance whatever.\n" * (CUT_BYTES // 42))
    started = time.process_time()
    described, _ = cut_ranges(text.name, text, BuildConfig(text_unit="line"))
    seconds = time.process_time() - started
    text.unlink()
    per_terabyte = round(seconds * 1e12 / described.bytes)
    return {"benchmark": "scale", "stage": "inputs", "cpu_seconds_per_terabyte": per_terabyte}


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


def run(
    items: int, documents: int, executor: str = "", writes: bool = False
) -> Iterator[dict[str, Any]]:
    """The lines, one after another, for so many items with so many `documents` each."""
    in_memory = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="blankstream-", dir=in_memory) as name:
        folder = Path(name)
        yield cut_line(folder)
        recipe, record = built_record(folder / "template")
        store = FakeStore(folder, record, documents)
        meter = Meter("plan", items)
        plan = write_plan(store, recipe, meter)
        yield meter.line()
        with PlanReader(store, plan) as reader:
            yield from _sweeps(reader, store, folder)
            yield _driven(reader, (executor, writes), (folder / "written", record))
            yield from _finished(reader, store, folder, len(record.shards))


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
        meter = Meter("drive", total)
        items = meter.through(reader.items())
        drive(executor, items, work, state, lambda: None, Limits())
        assert state.done == total
        return meter.line(executor=executor_name or "at once", writes=writes)


class _MeteredSurvey(Survey):
    """A survey whose shards are counted by `meter` on their way into the table."""

    meter: Meter

    def __enter__(self) -> Self:
        super().__enter__()
        for spill in (self.ids, self.texts):
            spill._held.fill(0)
        return self

    def entries(self, splits: Sequence[str] = SPLITS) -> Iterator[ShardEntry]:
        return self.meter.through(super().entries(splits))


def _finished(
    reader: PlanReader, store: FakeStore, folder: Path, num_shards: int
) -> Iterator[dict[str, Any]]:
    total, made = reader.plan.num_items, store.seconds
    with _MeteredSurvey(store) as survey:
        meter = Meter("survey", total)
        survey.take(meter.through(store.known(reader.items())))
        assert not survey.lost
        yield meter.line(store.seconds - made)
        survey.meter = Meter("table and manifest", total * num_shards)
        manifest = make_manifest(store, reader, survey, 0, 0.01)
        yield survey.meter.line()
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
    parser.add_argument("--documents", type=int, default=DOCUMENTS_PER_ITEM, help="of each item")
    parser.add_argument("--executor", default="", help="for the driver; default: at once")
    parser.add_argument("--write", action="store_true", help="tasks commit a record each")
    asked = parser.parse_args(arguments)
    for line in run(asked.items, asked.documents, asked.executor, asked.write):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
