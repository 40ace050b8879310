"""Processes killed while they download leave a cache that works."""

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from pipeline.shard_cache.place import CachedPlace
from pipeline.stores.objects import ObjectStore
from pipeline.stores.stopping import NEVER, Stop
from tests.cache_processes import (
    CLEAN,
    NUM_FILES,
    clean_process,
    filled_server,
    new_place,
    read_in_order,
)
from tests.cached_files import (
    PATIENT,
    QUICK,
    SIZE,
    cache_of,
    content_of,
    held,
    stored_file,
    stored_files,
)
from tests.object_server import ObjectServer

pytestmark = [
    pytest.mark.fault,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
]
FULL = bool(os.environ.get("BLANKSTREAM_FULL"))


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with filled_server() as running:
        yield running


def download_slowly(folder: Path, begun: Event) -> None:
    """Begin a download and never end it."""

    class Stuck(ObjectStore):
        def pieces(self, name: str, stop: Stop = NEVER) -> Iterator[bytes]:
            yield next(super().pieces(name, stop))[: SIZE // 2]
            begun.set()
            signal.pause()

    store = Stuck("s3://bucket/d", PATIENT, read_seconds=2.0)
    CachedPlace(store, cache_of(folder, 1.5), QUICK).path(stored_file(0))


def test_a_download_that_was_killed_leaves_room_and_no_lock(
    server: ObjectServer, tmp_path: Path
) -> None:
    for _ in range(3):
        begun = CLEAN.Event()
        process = clean_process(server, download_slowly, tmp_path, begun)
        process.start()
        assert begun.wait(20)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    place = new_place(tmp_path, 1.5)
    assert len(list((tmp_path / "cache/drafts").iterdir())) == 1
    for number in (1, 0):
        assert place.path(stored_file(number)).read_bytes() == content_of(number)
    assert list((tmp_path / "cache/drafts").iterdir()) == []
    assert held(cache_of(tmp_path)) == {stored_file(0).hashes.sha256}


def test_whoever_waits_for_a_download_that_is_killed_goes_on_by_itself(
    server: ObjectServer, tmp_path: Path
) -> None:
    begun = CLEAN.Event()
    stuck = clean_process(server, download_slowly, tmp_path, begun)
    stuck.start()
    assert begun.wait(20)
    others = [clean_process(server, read_in_order, tmp_path, 1.5, [0], 1) for _ in range(3)]
    for process in others:
        process.start()
    time.sleep(0.3)
    assert all(process.is_alive() for process in others)
    stuck.kill()
    for process in [stuck, *others]:
        process.join(20)
    assert [process.exitcode for process in others] == [0, 0, 0]


def test_kills_at_any_moment_leave_a_cache_that_works(server: ObjectServer, tmp_path: Path) -> None:
    for kill in range(40 if FULL else 6):
        arguments = (tmp_path, 4.5, list(range(NUM_FILES)) * 50, 2)
        processes = [clean_process(server, read_in_order, *arguments) for _ in range(2)]
        for process in processes:
            process.start()
        time.sleep(0.1 + 0.037 * (kill % 7))
        for process in processes:
            process.kill()
            process.join()
    place = new_place(tmp_path, 4.5)
    for stored, number in zip(stored_files(NUM_FILES), range(NUM_FILES), strict=True):
        assert place.path(stored).read_bytes() == content_of(number)
    assert list((tmp_path / "cache/drafts").iterdir()) == []
    assert len(held(cache_of(tmp_path))) == 4
