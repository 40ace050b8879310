"""Object storage that fails: what passes is tried again, what stays is one message."""

import multiprocessing
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pipeline.stores import bucket, uploads
from pipeline.stores.objects import ObjectStore
from pipeline.stores.retries import Retries
from schemas.errors import DatasetError, StorageError
from tests.faults import FAULTS, Faults
from tests.object_server import ObjectServer, object_server

pytestmark = [
    pytest.mark.fault,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
]
FULL = bool(os.environ.get("BLANKSTREAM_FULL"))
PATIENT = Retries(tries=40, seconds=30.0, first_wait_seconds=0.001, max_wait_seconds=0.02)
HASTY = Retries(tries=4, seconds=3.0, first_wait_seconds=0.01, max_wait_seconds=0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("/bucket")
        yield running


def new_store(retries: Retries = PATIENT, read_seconds: float = 0.3) -> ObjectStore:
    return ObjectStore(f"s3://bucket/{uuid.uuid4().hex}", retries, read_seconds)


def use_everything(store: ObjectStore) -> None:
    """Every operation of a store, and what each must give."""
    content = os.urandom(40_000)
    store.replace("a/x", b"old")
    store.replace("a/x", content)
    assert store.create("a/y", b"first")
    assert not store.create("a/y", b"second")
    with store.draft("a") as draft:
        draft.path.write_bytes(content[::-1])
        draft.commit("a/z")
    assert store.read("a/x") == content
    with store.local("a/z") as path:
        assert path.read_bytes() == content[::-1]
    assert store.files("a") == {"a/x": 40_000, "a/y": 5, "a/z": 40_000}
    store.remove("a/x")
    assert (store.size("a/x"), store.size("a/y"), store.read("a/y")) == (None, 5, b"first")
    assert sorted(store.every_file()) == [("a/y", 5), ("a/z", 40_000)]
    with pytest.raises(FileNotFoundError):
        store.read("a/x")


@pytest.mark.parametrize("seed", range(20 if FULL else 1))
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "denied"])
def test_operations_succeed_whatever_fails_in_between(
    server: ObjectServer, fault: str, seed: int
) -> None:
    rate = 0.15 if fault == "sleep" else 0.3
    with server.failing(Faults({fault: rate}, seed=seed + 1, sleep_seconds=0.5)) as faults:
        while not faults.injected[fault]:
            use_everything(new_store())
    assert set(faults.injected) == {fault}


def test_operations_succeed_when_everything_fails_now_and_then(server: ObjectServer) -> None:
    rates = dict.fromkeys(("error", "throttle", "reset", "lost", "short", "cut"), 0.08)
    with server.failing(Faults(rates, seed=5)) as faults:
        for _ in range(3):
            use_everything(new_store())
    assert len(faults.injected) == 6


@pytest.mark.parametrize("fault", ["error", "reset", "sleep", "short", "cut"])
def test_what_keeps_failing_ends_in_one_message_in_time(server: ObjectServer, fault: str) -> None:
    store = new_store(HASTY)
    store.replace("x", b"content")
    with server.failing(Faults({fault: 1.0}, sleep_seconds=0.5)):
        begun = time.monotonic()
        with pytest.raises(StorageError, match=r"^s3://bucket/\w+/x: could not be read in \d tri"):
            store.read("x")
        if fault not in ("short", "cut"):
            with pytest.raises(StorageError, match=r"/x: could not be written in \d tries in \d s"):
                store.replace("x", b"other")
        with pytest.raises(StorageError, match=r"\w: could not be listed in .* is up .*again$"):
            list(store.every_file())
        assert time.monotonic() - begun < 12
    assert store.read("x") == (b"other" if fault == "sleep" else b"content")  # late, but done


def test_what_may_not_be_done_is_said_at_once(server: ObjectServer) -> None:
    store, before = new_store(), server.requests
    message = r"/x: could not be read \(PermissionError: .*\); check the credentials"
    with server.failing(Faults({"denied": 1.0})), pytest.raises(DatasetError, match=message):
        store.read("x")
    assert server.requests == before + 1


def test_a_missing_bucket_is_no_missing_file_when_something_is_written(
    server: ObjectServer,
) -> None:
    store = ObjectStore("s3://absent/d", PATIENT)
    assert (store.size("x"), store.files(""), list(store.every_file())) == (None, {}, [])
    for write in (store.replace, store.create):
        with pytest.raises(DatasetError, match=r"absent/d/x: .* no such bucket .*; create it, or"):
            write("x", b"")


def test_a_creator_whose_reply_was_lost_is_told_that_it_was_first(server: ObjectServer) -> None:
    lookups = [None, None]  # of the object, then of a folder of that name
    for lost in (["lost"], ["lost"] * 3):
        store = new_store()
        with server.failing(Faults(script=[*lookups, *lost])) as faults:
            assert store.create("x", b"ours")
        assert faults.injected["lost"] == len(lost)
        assert (store.create("x", b"ours"), store.read("x")) == (False, b"ours")


def test_of_two_creators_of_the_same_bytes_one_is_told_so_though_replies_are_lost(
    server: ObjectServer,
) -> None:
    first = new_store()
    other = ObjectStore(first.place, PATIENT)
    with server.failing(Faults({"lost": 0.4}, seed=4)) as faults:
        for number in range(10):
            told = [store.create(f"x{number}", b"same") for store in (first, other)]
            assert told == [True, False]
    assert faults.injected["lost"] > 5


def test_one_that_was_created_while_ours_was_on_its_way_stays(server: ObjectServer) -> None:
    store = new_store()
    key = store.where("x").removeprefix("s3:/")
    looked_up = store.size
    store.size = lambda name: (looked_up(name), server.put(key, b"theirs"))[0]  # type: ignore[method-assign]
    assert store.create("x", b"theirs") is False
    assert store.read("x") == b"theirs"


def test_a_server_that_never_says_whether_to_send_a_body_is_asked_again(
    server: ObjectServer,
) -> None:
    store = new_store()
    server.mute_requests, server.mute_seconds = 2, 30.0
    begun = time.monotonic()
    store.replace("x", b"1")
    assert store.create("y", b"2")
    assert (store.read("x"), store.read("y"), server.mute_requests) == (b"1", b"2", 0)
    assert time.monotonic() - begun < 15


def test_a_large_object_is_fetched_in_pieces_each_of_which_is_measured(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "_FETCH_BYTES", 1000)
    store, content = new_store(), os.urandom(10_500)
    store.replace("x", content)
    for length in (999, 1000, 1001, 2000):
        store.replace(f"y{length}", content[:length])
        assert store.read(f"y{length}") == content[:length]
    with server.failing(Faults({"short": 0.3, "cut": 0.3}, seed=1)) as faults:
        with store.local("x") as path:
            assert path.read_bytes() == content
        assert store.read("x") == content
    assert sum(faults.injected.values()) > 10


def test_an_upload_in_parts_appears_whole(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_PARTS_FROM_BYTES", 2**20)
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: 5 * 2**20)
    store, content = new_store(read_seconds=2.0), os.urandom(2**20) * 12
    with server.failing(Faults({"error": 0.1, "lost": 0.1, "throttle": 0.1}, seed=2)) as faults:
        with store.draft("a") as draft:
            draft.path.write_bytes(content)
            before = server.requests
            draft.commit("a/x")
        assert server.requests - before > 5
    assert sum(faults.injected.values()) > 0
    assert list(store.every_file()) == [("a/x", len(content))]
    assert store.read("a/x") == content


def test_an_upload_that_arrived_short_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([3, 0, 9])

    def put_file(system: fsspec.AbstractFileSystem, local: str, path: str) -> None:
        system.pipe_file(path, Path(local).read_bytes()[: next(sizes)])

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "put_file", put_file)
    store = ObjectStore(f"memory://{uuid.uuid4().hex}", PATIENT)
    with store.draft("") as draft:
        draft.path.write_bytes(b"nine byte")
        draft.commit("x")
    assert store.read("x") == b"nine byte"


def test_a_store_goes_on_in_a_forked_process(server: ObjectServer) -> None:
    store = new_store()
    store.replace("x", b"parent")
    child = multiprocessing.get_context("fork").Process(target=store.replace, args=("y", b"child"))
    child.start()
    child.join(30)
    assert (child.exitcode, store.read("y"), store.read("x")) == (0, b"child", b"parent")
