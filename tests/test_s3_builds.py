"""A data set on object storage: the same bytes as on a disk, whatever the server does meanwhile."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jobs.build
from jobs.build import BuildRequest, build_dataset
from pipeline.build import build_work_item
from pipeline.readers import remote_calls
from pipeline.stores import objects
from pipeline.stores.choice import open_store
from pipeline.stores.retries import Retries
from schemas.record import ItemResult
from tests.corpus import NoProgress, file_hashes, small_config
from tests.object_server import Faults, ObjectServer, object_server

ROOT = Path(__file__).resolve().parents[1]
FULL = bool(os.environ.get("BLANKSTREAM_FULL"))
pytestmark = [
    pytest.mark.fault,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
]
RATES = {"error": 0.06, "throttle": 0.04, "reset": 0.03, "lost": 0.03, "short": 0.05, "cut": 0.05}


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("/sets")
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again after milliseconds."""
    monkeypatch.setattr(objects, "Retries", lambda: Retries(30, 60.0, 0.001, 0.01))
    monkeypatch.setattr(remote_calls, "RETRIES", Retries(30, 60.0, 0.001, 0.01))


def object_hashes(url: str) -> dict[str, str]:
    """Name -> SHA-256 of every object of a data set."""
    store = open_store(url)
    return {name: hashlib.sha256(store.read(name)).hexdigest() for name, _ in store.every_file()}


def build(corpus: Path | str, url: str, executor: str = "serial", **changes: Any) -> NoProgress:
    watcher = NoProgress()
    build_dataset(BuildRequest(small_config(**changes), [corpus], url, executor, 2), watcher)
    return watcher


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_build_onto_object_storage_has_the_bytes_of_one_onto_a_disk(
    server: ObjectServer, corpus: Path, built: Path, executor: str
) -> None:
    url = f"s3://sets/{executor}"
    build(corpus, url, executor)
    assert object_hashes(url) == file_hashes(built)
    assert build(corpus, url, executor).state.done == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("seed", range(5 if FULL else 1))
def test_failing_requests_change_nothing_but_the_time(
    server: ObjectServer, corpus: Path, built: Path, seed: int
) -> None:
    url = f"s3://sets/faults-{seed}"
    with server.failing(Faults(RATES, seed=seed)) as faults:
        build(corpus, url)
    assert object_hashes(url) == file_hashes(built)
    assert {name for name, count in faults.injected.items() if count} >= {"error", "throttle"}
    assert sum(faults.injected.values()) > 15


def test_late_answers_are_asked_for_again(
    server: ObjectServer, corpus: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = objects.ObjectStore("s3://sets/late", Retries(30, 60.0, 0.001, 0.01), 0.3)
    monkeypatch.setattr(jobs.build, "open_store", lambda place: quick)
    monkeypatch.setattr("pipeline.build.open_store", lambda place: quick)
    with server.failing(Faults({"sleep": 0.03}, seed=1, sleep_seconds=1.5)) as faults:
        build(corpus, "s3://sets/late")
    assert object_hashes("s3://sets/late") == file_hashes(built)
    assert faults.injected["sleep"] > 1


def test_an_interrupted_build_goes_on(
    server: ObjectServer, corpus: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_items = 0

    def building(*arguments: Any) -> ItemResult:
        nonlocal built_items
        built_items += 1
        if built_items == 4:
            raise KeyboardInterrupt
        return build_work_item(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(jobs.build, "build_work_item", building)
        with pytest.raises(KeyboardInterrupt):
            build(corpus, "s3://sets/again")
    assert build(corpus, "s3://sets/again").state.before == 3
    assert object_hashes("s3://sets/again") == file_hashes(built)


def start_build(corpus: Path, url: str) -> "subprocess.Popen[bytes]":
    settings = ["build.item_bytes=4096", "build.window_tokens=64", "build.row_tokens=160"]
    settings += ["build.tokenizer.vocab_size=500", "build.heldout_ratio=0.2"]
    command = [sys.executable, "-W", "ignore", "-m", "jobs", "build", "--input", str(corpus)]
    return subprocess.Popen(
        [*command, "--output", url, "--executor", "processes", *settings],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finished(build: "subprocess.Popen[bytes]") -> None:
    output, _ = build.communicate(timeout=120)
    assert build.returncode == 0, output.decode()


def test_two_drivers_at_once_and_the_workers_of_a_dead_one_are_harmless(
    server: ObjectServer, corpus: Path, tmp_path: Path
) -> None:
    finished(start_build(corpus, str(tmp_path / "undisturbed")))
    url, random = "s3://sets/two", np.random.default_rng(0)
    killed = start_build(corpus, url)
    store = open_store(url)
    deadline = time.monotonic() + 60
    while not store.files("records/pass-0000/00000") and time.monotonic() < deadline:
        time.sleep(random.uniform(0.01, 0.05))
    os.kill(killed.pid, signal.SIGKILL)  # its workers go on for a moment
    drivers = [start_build(corpus, url), start_build(corpus, url)]
    for driver in drivers:
        finished(driver)
    killed.communicate(timeout=30)
    assert killed.returncode == -signal.SIGKILL
    assert object_hashes(url) == file_hashes(tmp_path / "undisturbed")


@pytest.mark.usefixtures("impatient")
def test_input_and_output_on_a_failing_server(
    server: ObjectServer, corpus: Path, built: Path
) -> None:
    content = (corpus / "topics.jsonl").read_bytes()
    assert json.loads(content.splitlines()[0])
    server.put("/sets/corpus/topics.jsonl", content)
    with server.failing(Faults(RATES, seed=9)):
        build("s3://sets/corpus", "s3://sets/both")
    assert object_hashes("s3://sets/both") == file_hashes(built)
