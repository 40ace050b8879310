"""A signal that ends a build ends it in order: one message, its exit status, nothing left but what
was finished, no process and no temporary file; the next run goes on to the same bytes.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus import file_hashes
from tests.process_tree import command_of, descendants

ROOT = Path(__file__).resolve().parents[1]
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
SETTINGS = [
    "build.item_bytes=4096",
    "build.window_tokens=64",
    "build.row_tokens=160",
    "build.tokenizer.vocab_size=500",
    "build.passes=2",
]
_SECONDS = 90.0


class Build:
    """One `blankstream build` in a process group and with temporary files of its own."""

    def __init__(
        self, corpus: Path, folder: Path, executor: str, temporary: Path | None = None
    ) -> None:
        self.output, self.temporary = folder / "d", temporary or folder / "t"
        self.temporary.mkdir(exist_ok=True)
        command = [sys.executable, "-W", "ignore", "-m", "jobs", "build", "--input", str(corpus)]
        options = ["--output", str(self.output), "--executor", executor, "--workers", "2"]
        self.process = subprocess.Popen(
            [*command, *options, *SETTINGS],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until(self, condition: Callable[["Build"], bool]) -> None:
        deadline = time.monotonic() + _SECONDS
        while not condition(self):
            assert self.process.poll() is None, "the build ended too early"
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def end(self) -> tuple[int, str]:
        """Exit status and what it said."""
        _, said = self.process.communicate(timeout=_SECONDS)
        return self.process.returncode, said


def plans(build: Build) -> bool:
    return any(build.temporary.glob("blankstream-*"))


def builds(build: Build) -> bool:
    return any((build.output / "records").rglob("*.json"))


def starts_ray(build: Build) -> bool:
    """Whether a process of Ray's runs that was started by Ray's."""
    return any("dashboard/agent.py" in command_of(pid) for pid in descendants(build.process.pid))


def check_orderly_end(build: Build, number: signal.Signals) -> None:
    """Of a build that is told to end at this moment, with all its processes for `SIGHUP`."""
    below = descendants(build.process.pid)
    tell = os.killpg if number == signal.SIGHUP else os.kill
    tell(build.process.pid, number)
    status, said = build.end()
    assert status == 128 + number, said
    assert said.splitlines()[-1] == f"Interrupted ({number.name}); what was finished stays"
    assert said.count("Interrupted") == 1
    assert "Traceback" not in said
    assert "***" not in said
    assert list(build.temporary.iterdir()) == []
    assert [command_of(pid) for pid in below if command_of(pid)] == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> dict[str, str]:
    build = Build(corpus, tmp_path_factory.mktemp("undisturbed"), "serial")
    assert build.end()[0] == 0
    return file_hashes(build.output)


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize(
    ("executor", "moment"),
    [
        ("serial", plans),
        ("serial", builds),
        ("processes", plans),
        ("processes", builds),
    ],
)
def test_a_build_that_is_told_to_end_leaves_what_was_finished_and_nothing_else(
    tmp_path: Path,
    corpus: Path,
    undisturbed: dict[str, str],
    executor: str,
    moment: Callable[[Build], bool],
    number: signal.Signals,
) -> None:
    build = Build(corpus, tmp_path, executor)
    build.wait_until(moment)
    check_orderly_end(build, number)
    if moment is builds:
        said = json.loads((build.output / "status.json").read_text())["error"]
        assert said == f"interrupted ({number.name})"
    assert Build(corpus, tmp_path, executor).end()[0] == 0
    assert file_hashes(build.output) == undisturbed


@pytest.mark.fault
@pytest.mark.ray
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("number", "moment"), [(signal.SIGTERM, starts_ray), (signal.SIGHUP, builds)]
)
def test_a_ray_of_our_own_ends_with_the_build(
    tmp_path: Path,
    corpus: Path,
    undisturbed: dict[str, str],
    moment: Callable[[Build], bool],
    number: signal.Signals,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # one that Ray can use
        build = Build(corpus, tmp_path, "ray", Path(short))
        build.wait_until(moment)
        assert [path.name[:3] for path in Path(short).glob("bs-*")] == ["bs-"]
        check_orderly_end(build, number)
    assert Build(corpus, tmp_path, "serial").end()[0] == 0
    assert file_hashes(build.output) == undisturbed
