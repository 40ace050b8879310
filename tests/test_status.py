"""`status.json` and what `blankstream status` makes of it, of the records and of the manifest."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.progress.process_mark import is_alive, process_mark
from jobs.progress.status import DatasetStatus, read_status, render_status
from jobs.progress.status_file import BuildStatus, StatusWriter
from pipeline.stores.local import LocalStore
from schemas.errors import DatasetError, StorageError
from schemas.names import MANIFEST_NAME, PLAN_NAME, SPLITTER_NAME, STATUS_NAME, TOKENIZER_FOLDER
from schemas.sealed import seal
from tests.build_states import state_of

ROWS = {"train": 1234, "heldout": 5}
PLAN = {"recipe": {}, "generations": [{}, {}]}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "dataset")


def begin(store: LocalStore) -> str:
    """Write a plan; returns its digest."""
    text = seal(PLAN)
    store.replace(PLAN_NAME, text.encode())
    return hashlib.sha256(text.encode()).hexdigest()


def finish(store: LocalStore, plan_digest: str) -> None:
    content = {"content_digest": "c0ffee", "plan_digest": plan_digest, "version": 2, "rows": ROWS}
    store.replace(MANIFEST_NAME, seal(content).encode())


def digest_of(store: LocalStore) -> str:
    return hashlib.sha256(store.read(MANIFEST_NAME)).hexdigest()


def status_of(store: LocalStore, done: int = 10, total: int = 100) -> DatasetStatus:
    return read_status(store, lambda: (done, total))


def written(store: LocalStore) -> BuildStatus:
    found = BuildStatus.from_json(store.read(STATUS_NAME).decode())
    assert found is not None
    return found


def rewrite(store: LocalStore, **changes: object) -> None:
    store.replace(STATUS_NAME, replace(written(store), **changes).to_json().encode())  # type: ignore[arg-type]


def write(store: LocalStore) -> StatusWriter:
    state = state_of()
    state.started, state.message = time.monotonic() - 20, "Building"
    writer = StatusWriter(store, state, 2.0)
    writer.maybe_write()
    return writer


def test_a_build_that_runs_is_told_with_its_speed_and_workers(store: LocalStore) -> None:
    begin(store)
    write(store)
    found = status_of(store)
    assert (found.state, found.done, found.total, found.generations) == ("running", 10, 100, 2)
    text = render_status(found)
    for shown in (
        f"{store.place}: being built",
        "items: 10 of 100 built (10%), 2 generations",
        f"driver: pid {os.getpid()} on {socket.gethostname()}, processes executor",
        "last said: Building",
        "this driver: 10 items, 1,000 rows, 0 retried, 5 bad input, 0 documents excluded",
        "pid 4711: 5 items, 12 rows/s, 100% busy, at pass-0000/0 for ",
    ):
        assert shown in text


def test_the_file_says_what_programs_need_and_no_command_line(store: LocalStore) -> None:
    write(store)
    content = json.loads(store.read(STATUS_NAME))
    assert content["version"] == 1
    assert content["counters"]["total_source_bytes"] == 100_000
    assert content["counters"]["done"] == 10
    assert set(content["stage_seconds"]) == {"check", "read", "tokens", "rows"}
    assert [worker["items"] for worker in content["workers"]] == [5, 5]
    assert abs(content["updated"] - time.time()) < 60
    assert sys.argv[0] not in store.read(STATUS_NAME).decode()


def test_the_file_is_written_once_in_its_time(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, times = [1000.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    writer = StatusWriter(store, state_of(), 30.0)
    while clock[0] < 1100:
        store.remove(STATUS_NAME)
        writer.maybe_write()
        times += [clock[0]] if store.size(STATUS_NAME) else []
        clock[0] += 0.5
    assert times == [1000, 1030, 1060, 1090]


def test_it_goes_with_a_build_that_ends_well_and_stays_with_its_error(store: LocalStore) -> None:
    begin(store)
    writer = write(store)
    writer.finish("disk full\x1b[31m")
    found = status_of(store)
    assert found.state == "stopped"
    assert "ended with: disk full" in render_status(found)
    assert "run the same `blankstream build` again" in render_status(found)
    writer.finish(None)
    assert store.size(STATUS_NAME) is None
    assert status_of(store).driver is None


@pytest.mark.parametrize(
    ("other", "stays"),
    [
        ({"host": "elsewhere"}, True),
        ({"pid": os.getppid(), "process": process_mark(os.getppid())}, True),
        ({"process": "boot/1/2"}, False),
        ({"host": "elsewhere", "error": "disk full"}, False),
    ],
)
def test_the_file_of_another_driver_stays_while_it_may_be_at_work(
    store: LocalStore, other: dict[str, object], stays: bool
) -> None:
    writer = write(store)
    rewrite(store, **other)
    writer.finish(None)
    assert (store.size(STATUS_NAME) is not None) == stays


@pytest.mark.parametrize("error", [OSError(28, "No space left"), StorageError("down")])
def test_a_failing_disk_or_server_harms_no_build(store: LocalStore, error: Exception) -> None:
    class Failing(LocalStore):
        def replace(self, name: str, content: bytes) -> None:
            raise error

        def remove(self, name: str) -> None:
            raise error

    writer = write(Failing(store.folder))
    writer.finish("x")
    writer.finish(None)
    assert store.size(STATUS_NAME) is None


def test_a_killed_driver_is_told_from_one_that_works(store: LocalStore) -> None:
    begin(store)
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from jobs.progress.status_file import StatusWriter\n"
        "from pipeline.stores.local import LocalStore\n"
        "from tests.build_states import state_of\n"
        "StatusWriter(LocalStore(Path(sys.argv[1])), state_of(), 2.0).maybe_write()\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(store.folder)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        assert status_of(store).state == "running"
        process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while status_of(store).state == "running" and time.monotonic() < deadline:
            time.sleep(0.02)
    assert status_of(store).state == "stopped"  # Also while nobody has waited for it yet.
    assert "not being built" in render_status(status_of(store))
    process.wait()
    assert status_of(store).state == "stopped"


def test_a_later_process_of_the_same_number_is_another_one(store: LocalStore) -> None:
    begin(store)
    write(store)
    rewrite(store, process=process_mark(os.getpid()) + "0")
    assert status_of(store).state == "stopped"
    assert is_alive(os.getpid(), "")
    assert not is_alive(2**70, "")
    assert process_mark(2**22 + 1) == ""


@pytest.mark.parametrize(
    ("host", "age", "every", "state"),
    [
        ("elsewhere", 10, 2.0, "running"),
        ("elsewhere", 30, 2.0, "stopped"),
        ("elsewhere", 100, 30.0, "running"),
        ("elsewhere", 130, 30.0, "stopped"),
        ("elsewhere", -3600, 2.0, "running"),
        (socket.gethostname(), 10, 2.0, "running"),
        (socket.gethostname(), 30, 2.0, "silent"),
    ],
)
def test_a_driver_not_heard_of_in_time_is_taken_for_dead_unless_its_process_is_here(
    store: LocalStore, host: str, age: float, every: float, state: str
) -> None:
    begin(store)
    write(store)
    rewrite(store, host=host, updated=time.time() - age, every_seconds=every)
    found = status_of(store)
    assert found.state == state
    if state != "running":
        assert "last heard of 0:" in render_status(found)


def test_a_finished_data_set_has_rows_and_digest(store: LocalStore) -> None:
    finish(store, begin(store))
    found = status_of(store, 100, 100)
    assert found.state == "finished"
    assert render_status(found) == (
        f"{store.place}: finished\n"
        "  items: 100 of 100 built (100%), 2 generations\n"
        "  rows: 1,234 train, 5 heldout; version 2\n"
        f"  digest: {digest_of(store)}; of the rows: c0ffee"
    )
    told = json.loads(found.to_json())["finished"]
    assert (told["digest"], told["content_digest"]) == (digest_of(store), "c0ffee")


def test_a_data_set_whose_growth_stopped_is_not_finished(store: LocalStore) -> None:
    digest = begin(store)
    finish(store, digest)
    assert status_of(store, 99, 100).state == "stopped"
    finish(store, "another plan")
    found = status_of(store, 100, 100)
    assert found.state == "stopped"
    assert found.finished is not None
    assert "rows: 1,234 train" in render_status(found)


def test_a_growth_that_failed_before_it_began_leaves_a_finished_data_set(store: LocalStore) -> None:
    finish(store, begin(store))
    write(store).finish("input x is missing")
    found = status_of(store, 100, 100)
    assert found.state == "finished"
    assert "ended with: input x is missing" in render_status(found)


def test_a_data_set_copied_without_its_plan_is_finished(store: LocalStore) -> None:
    finish(store, "any")
    assert status_of(store).state == "finished"


def test_a_build_that_has_no_plan_yet_is_known(store: LocalStore) -> None:
    store.replace(SPLITTER_NAME, b"{}")
    assert status_of(store).state == "stopped"
    write(store)
    assert status_of(store).state == "running"


def test_what_is_no_data_set_is_refused(store: LocalStore) -> None:
    for make in (lambda: None, lambda: store.replace("photo.jpg", b"x")):
        make()
        with pytest.raises(DatasetError, match="holds no data set"):
            status_of(store)
    file = LocalStore(store.folder / "photo.jpg")
    with pytest.raises(DatasetError, match="holds no data set"):
        status_of(file)


def test_a_training_run_is_no_data_set(store: LocalStore) -> None:
    store.replace(f"{TOKENIZER_FOLDER}/tokenizer.model", b"x")
    store.replace("config.toml", b"x")
    assert status_of(store).state == "stopped"
    store.replace("data.json", b"x")
    with pytest.raises(
        DatasetError, match=r": is a training run, not a data set; metrics\.jsonl in"
    ):
        status_of(store)


@pytest.mark.parametrize("name", [PLAN_NAME, MANIFEST_NAME])
def test_a_damaged_plan_or_manifest_is_named(store: LocalStore, name: str) -> None:
    finish(store, begin(store))
    store.replace(name, store.read(name).replace(b"2", b"3"))
    with pytest.raises(DatasetError, match=f"{name}: damaged"):
        status_of(store)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_a_status_file_that_was_tampered_with_is_read_or_passed_over(data: st.DataObject) -> None:
    state = state_of()
    kept: dict[str, bytes] = {}

    class Memory(LocalStore):
        def replace(self, name: str, content: bytes) -> None:
            kept[name] = content

    StatusWriter(Memory(Path("unused")), state, 2.0).maybe_write()
    content = json.loads(kept[STATUS_NAME])
    for key in data.draw(st.lists(st.sampled_from(sorted(content)), max_size=3)):
        content[key] = data.draw(JSON)
    found = BuildStatus.from_json(json.dumps(content))
    if found is not None:
        shown = render_status(DatasetStatus("place", "running", 1, 2, 1, None, found, 1.0))
        assert shown.startswith("place: ")


def test_programs_get_the_same_as_json(store: LocalStore) -> None:
    finish(store, begin(store))
    write(store)
    rewrite(store, message="\x1b[31m\u4e2d")
    content = json.loads(status_of(store, 100, 100).to_json())
    assert content["state"] == "running"
    assert content["finished"]["rows"] == ROWS
    assert content["driver"]["message"] == "\x1b[31m\u4e2d"
    assert status_of(store, 100, 100).to_json().isascii()


def test_the_file_of_another_version_is_passed_over(store: LocalStore) -> None:
    begin(store)
    write(store)
    content = json.loads(store.read(STATUS_NAME)) | {"version": 99}
    store.replace(STATUS_NAME, json.dumps(content).encode())
    assert status_of(store).driver is None
