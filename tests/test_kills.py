"""`kill -9` of a worker and then of the driver, at any moment, costs only what was unfinished.

Each run proves that it hit processes at work: a worker that used the CPU in the moment before, and
a driver whose build was neither finished nor idle.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import file_hashes
from tests.process_tree import busy, command_of, descendants, kill

ROOT = Path(__file__).resolve().parents[1]
IS_FULL = bool(os.environ.get("BLANKSTREAM_FULL"))
RUNS = {"processes": 15, "ray": 10} if IS_FULL else {"processes": 2, "ray": 1}
SETTINGS = [
    "build.item_bytes=4096",
    "build.window_tokens=64",
    "build.row_tokens=160",
    "build.tokenizer.vocab_size=500",
    "build.heldout_ratio=0.2",
    "build.passes=12",
]
WORKERS = {"processes": "spawn_main", "ray": "ray::"}
"""What the command line of a worker holds."""
_SECONDS = 90.0


def start_build(corpus: Path, output: Path, executor: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-W", "ignore", "-m", "jobs", "build", "--input", str(corpus)]
    return subprocess.Popen(
        [*command, "--output", str(output), "--executor", executor, "--workers", "2", *SETTINGS],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def num_records(output: Path) -> int:
    return sum(1 for _ in (output / "records").rglob("*.json"))


def wait_for(condition: Callable[[], bool], build: "subprocess.Popen[bytes]") -> bool:
    """Whether it came true before the build ended."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and build.poll() is None:
        if condition():
            return True
        time.sleep(0.005)
    return False


def kill_a_worker(build: "subprocess.Popen[bytes]", executor: str) -> bool:
    """Kill a worker that is at work; False when none was."""
    workers = [pid for pid in descendants(build.pid) if WORKERS[executor] in command_of(pid)]
    at_work = busy(workers)
    return bool(at_work) and build.poll() is None and kill(at_work[0])


def kill_the_driver(build: "subprocess.Popen[bytes]", output: Path) -> bool:
    """Kill the driver while its processes work on an unfinished build; False when they do not."""
    at_work = busy([build.pid, *descendants(build.pid)])
    if not at_work or build.poll() is not None or (output / "manifest.json").exists():
        return False
    kill(build.pid)
    return build.wait(30) == -signal.SIGKILL


def hit(corpus: Path, output: Path, executor: str, moments: tuple[int, int]) -> bool:
    """One build whose worker and then driver are killed after so many records each."""
    build = start_build(corpus, output, executor)
    try:
        return (
            wait_for(lambda: num_records(output) >= moments[0], build)
            and wait_for(lambda: kill_a_worker(build, executor), build)
            and wait_for(lambda: num_records(output) >= sum(moments), build)
            and kill_the_driver(build, output)
        )
    finally:
        if build.poll() is None:
            os.killpg(build.pid, signal.SIGKILL)
            build.wait(30)


def quiet(output: Path) -> None:
    """Wait until no worker of a dead driver writes any more."""
    before = -1
    while (now := num_records(output)) != before:
        before = now
        time.sleep(1.2)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> dict[str, str]:
    output = tmp_path_factory.mktemp("undisturbed") / "d"
    assert start_build(corpus, output, "processes").wait(_SECONDS) == 0
    return file_hashes(output)


@pytest.mark.fault
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("executor", ["processes", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_build_whose_worker_and_driver_are_killed_goes_on_to_the_same_bytes(
    tmp_path: Path, corpus: Path, undisturbed: dict[str, str], executor: str
) -> None:
    random, hits, tries = np.random.default_rng(RUNS[executor]), 0, 0
    num_items = sum(name.startswith("records/") and name.endswith(".json") for name in undisturbed)
    while hits < RUNS[executor]:
        tries += 1
        assert tries <= 3 * RUNS[executor], "the moments chosen hit too few busy processes"
        output = tmp_path / f"d{tries}"
        moments = (int(random.integers(1, num_items // 3)), int(random.integers(1, num_items // 3)))
        if not hit(corpus, output, executor, moments):
            shutil.rmtree(output, ignore_errors=True)
            continue
        hits += 1
        if hits % 2:
            quiet(output)  # every other time the next driver meets the workers of the dead one
        left = num_items - num_records(output)
        assert left > 0
        assert start_build(corpus, output, executor).wait(_SECONDS) == 0
        assert file_hashes(output) == undisturbed
        shutil.rmtree(output)
