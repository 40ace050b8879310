"""The benchmarks of scale: memory that does not grow with the items, clocks to be trusted."""

import gc
import json
import mmap
import os
import pathlib
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fake_records, scale, steady_state
from benchmarks import meter as meter_module
from benchmarks.fake_records import FakeStore
from benchmarks.fake_work import AtOnce, built_record
from benchmarks.full_swing import Moment, Swing
from benchmarks.meter import Meter
from benchmarks.process_tree import tree_cpu_seconds
from jobs.progress.build_state import BuildState
from pipeline import plan_tables, records, table
from pipeline import survey as survey_module
from pipeline.records import FolderListing, missing_files, read_record
from pipeline.survey import Survey
from pipeline.unique import HashSpill
from schemas import names
from schemas.plan import Slice, SourceRange, WorkItem, work_item
from schemas.record import ItemRecord

FULL = bool(os.environ.get("BLANKSTREAM_FULL"))
FEW, MANY = 256, 768
"""Items, in multiples of what is driven at once (64) and of the small batches of the test."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], ItemRecord]:
    return built_record(tmp_path_factory.mktemp("template") / "built")


@pytest.fixture
def template(built: tuple[dict[str, Any], ItemRecord]) -> ItemRecord:
    return built[1]


def item(number: int) -> WorkItem:
    return work_item("recipe", 0, 0, Slice(number, (SourceRange("a", 0, 1, "0" * 32),)))


@pytest.fixture(autouse=True)
def _short_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "CUT_BYTES", 10_000_000)


def test_every_stage_prints_a_line_with_its_costs(capsys: pytest.CaptureFixture[str]) -> None:
    scale.main(["3000"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["stage"] for line in lines] == [
        "inputs",
        "plan",
        "items",
        "unbuilt, nothing built",
        "unbuilt, all built",
        "drive",
        "survey",
        "table and manifest",
        "sizes",
    ]
    assert 100 < lines[0]["cpu_seconds_per_terabyte"] < 100_000
    for line in lines[1:-1]:
        assert line["cpu_seconds_per_million"] < 3000
        assert len(line["memory_megabytes"]) == 3
    sizes = lines[-1]["megabytes_per_million_items"]
    assert sizes["plan"] < 100
    assert sizes["manifest"] < sizes["plan"] < sizes["table"] < 1000


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not FULL, reason="400,000 items take minutes")
def test_an_item_more_costs_no_memory_in_any_stage(capsys: pytest.CaptureFixture[str]) -> None:
    scale.main(["400000"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    costs = {line["stage"]: line["bytes_per_item"] for line in lines[1:-1]}
    assert max(costs.values()) < 64, costs


def live_bytes() -> int:
    """What Python and NumPy hold, without what is only waiting to be collected.

    Nor the interpreter's table of strings, which doubles at some file name or other.
    """
    gc.collect()
    no_names = tracemalloc.Filter(False, pathlib.__file__)
    traces = tracemalloc.take_snapshot().filter_traces([no_names]).traces
    return sum(trace.size for trace in traces)


def stage_bytes(items: int) -> dict[str, int]:
    """What each stage of so many items holds more than at its start, where that is most."""
    seen: list[int] = []
    found = {}

    def noted() -> int:
        seen.append(live_bytes())
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter_module, "resident_bytes", noted)
        tracemalloc.start()
        try:
            for line in scale.run(items, 40):
                found[line["stage"]] = max(seen, default=0) - next(iter(seen), 0)
                seen.clear()
        finally:
            tracemalloc.stop()
    return found


def test_an_item_more_costs_no_memory_though_every_text_occurs_twice(
    monkeypatch: pytest.MonkeyPatch, built: tuple[dict[str, Any], ItemRecord]
) -> None:
    monkeypatch.setattr(scale, "built_record", lambda _: built)
    for module in (names, records, fake_records):
        monkeypatch.setattr(module, "SLICES_PER_FOLDER", 32)
    for module in (table, survey_module):
        monkeypatch.setattr(module, "BLOCK_SHARDS", 32)
    monkeypatch.setattr(survey_module, "_AT_ONCE", 32)
    monkeypatch.setattr(survey_module, "HashSpill", partial(HashSpill, 2000))
    monkeypatch.setattr(plan_tables, "_BATCH_LINES", 32)
    few, many = stage_bytes(FEW), stage_bytes(MANY)
    costs = {stage: (many[stage] - few[stage]) / (MANY - FEW) for stage in few}
    assert len(costs) == 9
    assert max(costs.values()) < 48, costs


def test_tasks_that_commit_a_record_are_counted_too() -> None:
    lines = list(scale.run(300, 2, writes=True))
    (driven,) = (line for line in lines if line["stage"] == "drive")
    assert driven["writes"]
    assert driven["executor"] == "at once"


def test_a_fake_store_is_what_a_survey_expects(tmp_path: Path, template: ItemRecord) -> None:
    store = FakeStore(tmp_path, template, 3)
    items = [item(number) for number in range(1500)]
    listing = FolderListing(store)
    for one in store.known(iter(items)):
        record = read_record(store, one)
        assert record
        assert (record.item, record.slice) == (one.id, one.slice.number)
        assert missing_files(listing, record) == []
    with Survey(store) as survey:
        survey.take(store.known(iter(items)))
        assert not survey.lost
        assert survey.counts["documents"] == 1500 * template.counts["documents"]
        assert survey.rows["train"] == 1500 * template.counts["train.rows"]
        assert survey.ids.num_repeats() == 0
        assert survey.texts.num_repeats() == 1500 * 3 // 2
        assert sum(1 for _ in survey.entries()) == 1500 * len(template.shards)
    assert store.seconds > 0


def test_a_meter_looks_after_a_quarter_a_half_and_all() -> None:
    meter = Meter("x", 100)
    start = meter.memory[0]
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # not from memory that was freed before
    for memory in meter.through([mmap.mmap(-1, 1_000_000, flags) for _ in range(100)]):
        memory.write(b"1" * 1_000_000)
    line = meter.line(extra=1)
    assert (line["stage"], line["items"], line["extra"]) == ("x", 100, 1)
    assert meter.memory[0] == start
    assert line["memory_megabytes"][2] >= line["memory_megabytes"][0]
    assert 500_000 < line["bytes_per_item"] < 1_500_000


def test_tasks_done_at_once_come_back_as_outcomes() -> None:
    executor = AtOnce()
    executor.submit(7, divmod, 7, 2)
    executor.submit(8, divmod, 7, 0)
    good, bad = executor.wait(0.0)
    assert (good.task, good.result, good.error) == (7, (3, 1), None)
    assert (bad.task, bad.result, type(bad.error)) == (8, None, ZeroDivisionError)
    assert executor.wait(0.0) == []


def test_the_cpu_time_of_a_tree_has_that_of_its_children() -> None:
    before = tree_cpu_seconds(os.getpid())
    burn = "x = sum(range(20_000_000)); print(x, flush=True); input()"
    command = [sys.executable, "-c", burn]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as child:
        assert child.stdout
        child.stdout.readline()
        alive = tree_cpu_seconds(child.pid)
        assert alive > 0.1
        assert tree_cpu_seconds(os.getpid()) - before > 0.9 * alive
        child.communicate(b"\n")
    assert tree_cpu_seconds(os.getpid()) - before > 0.9 * alive


def test_a_build_is_in_full_swing_between_its_warm_items_and_the_last_ones() -> None:
    swing, state = Swing(2), BuildState(total=12, before=1)
    swing.started(state)
    for done in range(12):
        state.done, state.rows = done, 100 * done
        swing.changed()
    assert swing.first
    assert swing.last
    assert (swing.first.rows, swing.last.rows) == (400, 900)
    assert swing.measured().rows == 500
    with pytest.raises(AssertionError, match="too few items"):
        Swing(2).measured()


def test_the_summary_compares_runs_of_one_round_and_takes_medians() -> None:
    run = Moment(10.0, 1000, 0.1, 12.0, 10.0)
    twice = replace(run, rows=1900)
    dear = replace(twice, cpu_seconds=13.2, driver_cpu_seconds=0.3)
    runs = {
        ("processes", 1): [run] * 3,
        ("processes", 2): [twice, twice, replace(twice, rows=100)],
        ("ray", 1): [run] * 3,
        ("ray", 2): [dear] * 3,
    }
    line = steady_state.summary(["processes", "ray"], runs)
    assert line["processes"]["rows_per_second"] == [100, 190]
    assert line["processes"]["two_over_one"] == 1.9
    assert line["ray"]["driver_cpu_over_task_seconds"] == 0.03
    assert line["processes"]["cpu_seconds_per_thousand_rows"] == [12.0, 6.316]
    assert line["cpu_ray_over_processes"] == 1.1


@pytest.mark.slow
def test_the_steady_state_can_be_measured(capsys: pytest.CaptureFixture[str]) -> None:
    steady_state.main(["--quick", "--rounds", "1", "--executors", "processes"])
    line = json.loads(capsys.readouterr().out)
    assert line["processes"]["rows_per_second"][0] > 10
    assert 0 < line["processes"]["driver_cpu_over_task_seconds"] < 0.2
