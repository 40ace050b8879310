"""Neither the folder of a Ray of our own stays behind nor a process that writes in it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.executors import ray_processes
from jobs.executors.ray_processes import folder_of_ray, processes_of, temporary_files_in

OPENS = "import sys, time; file = open(*sys.argv[1:]); print(flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_processes, "_END_SECONDS", 0.3)


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Processes that the test started; none outlives it."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def opened(path: Path, mode: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", OPENS, str(path), mode], stdout=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.readline()
    return process


def test_what_writes_in_the_folder_ends_with_it_and_what_reads_there_goes_on(
    tmp_path: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    with folder_of_ray() as folder:
        log = Path(folder) / "logs" / "x.log"
        log.parent.mkdir()
        log.touch()
        started += [opened(log, "a"), opened(log, "r"), opened(tmp_path / "other", "w")]
        assert processes_of(folder) == [started[0].pid]
    assert started[0].wait(5) == -9
    assert [process.poll() for process in started[1:]] == [None, None]
    assert not Path(folder).exists()


def test_a_process_started_with_its_temporary_files_there_is_known(
    started: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    with folder_of_ray() as folder:
        with temporary_files_in(folder):
            started.append(opened(tmp_path / "other", "w"))
        assert processes_of(folder) == [started[0].pid]
        assert processes_of(folder + "x") == []
    assert started[0].wait(5) == -9


def test_a_folder_that_nobody_uses_goes_at_once(tmp_path: Path) -> None:
    before = time.monotonic()
    with folder_of_ray() as folder, (Path(folder) / "mine").open("w"):
        assert processes_of(folder) == []
    assert not Path(folder).exists()
    assert time.monotonic() - before < 3  # others are waited for four seconds
