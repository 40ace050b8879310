"""The race of the loaders: everybody is measured alike, nobody's failure harms another."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import stream
from benchmarks.peers.entrant import Entrant, LoaderFailedError
from benchmarks.peers.loader import find_loader
from benchmarks.peers.race import OURS, YARDSTICK, Course, Result, run_race
from benchmarks.peers.samples import BATCH_ROWS
from benchmarks.peers.table import HEADINGS, cells, table
from schemas.errors import DatasetError

COURSE = Course(
    rows=20 * BATCH_ROWS + 5,
    rounds=2,
    slice_seconds=0.05,
    warm_up_seconds=0.1,
    starts=1,
    quality_batches=10,
)
PEER, ABSENT = "numpy_memmap", "litdata"
"""A peer that needs nothing more, and one that the project's own environment has not."""


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return run_race((YARDSTICK, OURS, PEER, ABSENT), COURSE, lambda _: None)


def test_the_race_measures_whoever_is_here(results: dict[str, Result]) -> None:
    for name in (OURS, PEER):
        result = results[name]
        assert not result.problem
        assert len(result.speeds) == COURSE.rounds
        assert result.rows_per_second > 100
        assert result.resumes_exactly
        assert min(result.cold_seconds, result.first_seconds, result.resume_seconds) > 0
        assert 4144 <= result.bytes_per_row < 7000
        assert result.distance == pytest.approx(1, abs=0.1)
    assert results[OURS].import_seconds > 0.01
    assert results[YARDSTICK].distance is None


def test_the_table_has_a_line_for_everyone(results: dict[str, Result]) -> None:
    lines = table(results).splitlines()
    assert lines[-1].startswith("Cold: ")
    assert len(lines) == 2 + len(results) + 2
    assert {line.count("|") for line in lines[:-2]} == {len(HEADINGS) + 1}
    assert cells(YARDSTICK, results)[3] == ""
    assert cells(OURS, results)[4] == ""
    assert "yes" in cells(OURS, results)
    if importlib.util.find_spec(ABSENT) is None:
        assert lines[-3].startswith("| litdata |  | not installed |")


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    one, other = (Result(find_loader(name)) for name in (OURS, PEER))
    one.speeds, other.speeds = [10.0, 100.0, 30.0], [10.0, 10.0, 10.0]
    assert one.ratio(other) == 3
    assert one.rows_per_second == 30


def test_a_loader_that_fails_says_why(tmp_path: Path) -> None:
    with Entrant("row_stream", tmp_path) as entrant:
        with pytest.raises(LoaderFailedError, match=r"run_away: AttributeError: .*run_away"):
            entrant.ask("run_away")
        with pytest.raises(LoaderFailedError, match="first: AttributeError"):
            entrant.ask("first", 0, 1)
    with Entrant("row_stream", tmp_path) as entrant:
        missing = rf"first: .*{DatasetError.__name__}.*row_stream: no such folder"
        with pytest.raises(LoaderFailedError, match=missing):
            entrant.ask("first", 0, 1)


@pytest.fixture
def _run_before(results: dict[str, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def run_race(names: Sequence[str], course: Course, report: object) -> dict[str, Result]:
        assert course.rounds in (stream.QUICK.rounds, 3)
        return {name: results[name] for name in names}

    monkeypatch.setattr(stream, "run_race", run_race)


@pytest.mark.usefixtures("_run_before")
def test_without_peers_it_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    stream.main(["--quick"])
    line = json.loads(capsys.readouterr().out)
    assert line["ratio"] > 0.01
    assert 0 < line["first_batch_seconds"] < 30
    assert 0 <= line["cold_pages_resident"] <= 1


@pytest.mark.usefixtures("_run_before")
def test_with_peers_it_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    stream.main(["--quick", "--rounds", "3", "--peers", PEER])
    lines = capsys.readouterr().out.splitlines()
    names = [line.split("|")[1].strip() for line in lines[2:-2]]
    assert names == ["gather in RAM", "RowStream", "numpy memmap"]


@pytest.mark.usefixtures("_run_before")
def test_a_race_without_ours_is_an_error(results: dict[str, Result]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results[OURS], "problem", "failed: first: no memory")
        with pytest.raises(RuntimeError, match="RowStream: failed: first: no memory"):
            stream.main(["--quick"])


def test_the_benchmark_may_be_run_as_a_file() -> None:
    command = [sys.executable, stream.__file__, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert "--peers" in done.stdout
