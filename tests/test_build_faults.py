"""Faults of the world around a build: one clear error, what was finished stays, the next run ends
with the bytes of an undisturbed one."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jobs.build
from jobs.build import BuildRequest, build_dataset
from jobs.plan_build import read_plan
from pipeline import build as build_module
from pipeline.build import BuildContext, build_work_item
from pipeline.plan_tables import PlanReader
from pipeline.stores.local import LocalStore
from schemas.errors import BlankstreamError, InputError
from schemas.record import ItemResult
from tests.corpus import NoProgress, file_hashes, small_config

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.fault


def build(corpus: Path, output: Path) -> NoProgress:
    watcher = NoProgress()
    build_dataset(BuildRequest(small_config(), [corpus], output, "serial", 1), watcher)
    return watcher


def build_until(count: int, act: Callable[[], object], corpus: Path, output: Path) -> None:
    """A build in which `act` happens before item number `count` is built."""
    numbers = itertools.count()

    def building(*arguments: Any) -> ItemResult:
        if next(numbers) == count:
            act()
        return build_work_item(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs.build, "build_work_item", building)
        build(corpus, output)


def records_of(dataset: Path) -> list[Path]:
    return sorted((dataset / "records").rglob("*.json"))


@pytest.fixture
def own_corpus(tmp_path: Path, corpus: Path) -> Path:
    shutil.copytree(corpus, tmp_path / "corpus")
    return tmp_path / "corpus"


def test_an_input_that_vanishes_during_the_build_is_named(
    tmp_path: Path, own_corpus: Path, built: Path
) -> None:
    file = own_corpus / "topics.jsonl"
    with pytest.raises(InputError, match=r"topics\.jsonl: cannot be read .* restore it"):
        build_until(2, lambda: file.rename(tmp_path / "away"), own_corpus, tmp_path / "d")
    assert len(records_of(tmp_path / "d")) == 2
    (tmp_path / "away").rename(file)
    assert build(own_corpus, tmp_path / "d").state.before == 2
    assert file_hashes(tmp_path / "d") == file_hashes(built)


def test_an_input_that_changes_between_plan_and_build_is_named(
    tmp_path: Path, own_corpus: Path, built: Path
) -> None:
    file = own_corpus / "topics.jsonl"
    content = file.read_bytes()
    changed = content.replace(b"Python", b"Jython")
    with pytest.raises(InputError, match="have changed since the build was planned"):
        build_until(2, lambda: file.write_bytes(changed), own_corpus, tmp_path / "d")
    finished = records_of(tmp_path / "d")
    assert finished
    file.write_bytes(content)
    build(own_corpus, tmp_path / "d")
    assert set(finished) <= set(records_of(tmp_path / "d"))
    assert file_hashes(tmp_path / "d") == file_hashes(built)


def run_in_namespace(script: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run Python where a tmpfs can be mounted without being anybody."""
    return subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            sys.executable,
            "-W",
            "ignore",
            "-c",
            script,
            *map(str, arguments),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


_FULL_DISK = """
import subprocess, sys
folder, corpus, output, *command = sys.argv[1:]
mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", folder]
subprocess.run(mount, check=True)
run = lambda: subprocess.run(command, capture_output=True, text=True)
first = run()
print(first.returncode, first.stderr.strip().splitlines()[-1])
subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
print(run().returncode)
subprocess.run(["cp", "-r", folder + "/d", output], check=True)
"""


def command(corpus: Path, output: Path, executor: str) -> list[str]:
    settings = [
        "build.item_bytes=8192",
        "build.window_tokens=64",
        "build.row_tokens=160",
        "build.tokenizer.vocab_size=500",
        "build.heldout_ratio=0.2",
    ]
    start = [sys.executable, "-W", "ignore", "-m", "jobs", "build", "--input", str(corpus)]
    return [*start, "--output", str(output), "--executor", executor, *settings]


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_full_disk_costs_only_what_was_unfinished(
    tmp_path: Path, corpus: Path, executor: str
) -> None:
    (tmp_path / "disk").mkdir()
    build_command = command(corpus, tmp_path / "disk" / "d", executor)
    found = run_in_namespace(
        _FULL_DISK, tmp_path / "disk", corpus, tmp_path / "copy", *build_command
    )
    first, last = found.stdout.splitlines()
    assert first.startswith(f"1 error: {tmp_path / 'disk' / 'd'}: cannot be written"), found.stderr
    assert "(No space left on device" in first
    assert "what was finished stays: free space on that disk" in first
    assert last == "0"
    undisturbed = command(corpus, tmp_path / "d", "serial")
    assert subprocess.run(undisturbed, cwd=ROOT, capture_output=True, check=False).returncode == 0
    assert file_hashes(tmp_path / "copy") == file_hashes(tmp_path / "d")


_READ_ONLY = """
import subprocess, sys
folder, *command = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
done = subprocess.run(command, capture_output=True, text=True)
print(done.returncode, done.stderr.strip().splitlines()[-1])
"""


def test_a_read_only_folder_is_one_clear_error(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "disk").mkdir()
    build_command = command(corpus, tmp_path / "disk" / "d", "serial")
    found = run_in_namespace(_READ_ONLY, tmp_path / "disk", *build_command)
    assert found.stdout.startswith("2 error: "), found.stderr
    assert f"no permission to write in {tmp_path / 'disk'}" in found.stdout


def test_a_folder_that_becomes_read_only_is_one_clear_error(
    tmp_path: Path, corpus: Path, built: Path
) -> None:
    def refuse(*arguments: object) -> object:
        raise PermissionError(13, "Permission denied", str(tmp_path / "d"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "commit_record", refuse)
        with pytest.raises(BlankstreamError, match=r"cannot be written .* make it writable"):
            build(corpus, tmp_path / "d")
    build(corpus, tmp_path / "d")
    assert file_hashes(tmp_path / "d") == file_hashes(built)


def test_a_failed_build_says_why_in_its_status(tmp_path: Path, own_corpus: Path) -> None:
    file = own_corpus / "topics.jsonl"
    with pytest.raises(InputError):
        build_until(2, file.unlink, own_corpus, tmp_path / "d")
    status = json.loads((tmp_path / "d" / "status.json").read_text())
    assert "cannot be read" in status["error"]
    assert status["counters"]["done"] >= 2


def test_a_late_worker_of_another_build_changes_nothing(
    tmp_path: Path, corpus: Path, built: Path
) -> None:
    shutil.copytree(built, tmp_path / "d")
    store = LocalStore(tmp_path / "d")
    plan = read_plan(store)
    assert plan is not None
    with PlanReader(store, plan) as reader:
        items = list(reader.items())
    sources: dict[str, str | Path] = {"topics.jsonl": corpus / "topics.jsonl"}
    context = BuildContext(str(tmp_path / "d"), sources, plan.recipe)
    for item in items:
        build_work_item(context, item)
    assert file_hashes(tmp_path / "d") == file_hashes(built)
