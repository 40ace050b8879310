"""Whoever waits in a place gives up when it is interrupted, whatever the wait is for."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.shard_cache.eviction import CacheRules, Urgency
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_cache.room import make_draft
from pipeline.stores.objects import ObjectStore
from pipeline.stores.retries import Retries
from schemas.errors import BlankstreamError, CorruptDataError, StorageError
from tests.cache_processes import filled_server
from tests.cached_files import (
    ahead_threads,
    cache_of,
    content,
    content_of,
    held,
    place_of,
    stored_file,
    stored_files,
    wait_until,
    write_remote,
)
from tests.datasets import flip
from tests.faults import WRONG, Faults
from tests.object_server import ObjectServer

pytestmark = [
    pytest.mark.fault,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
]
PATIENT = CacheRules(spared_seconds=0.3, patience_seconds=20, longest_seconds=60, poll_seconds=0.02)
SLOW = Retries(tries=9, seconds=600.0, first_wait_seconds=100.0, max_wait_seconds=200.0)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with filled_server() as running:
        yield running


def patient_cache(folder: Path, limit_files: float = 100) -> CacheFolder:
    return cache_of(folder, limit_files, PATIENT)


def remote_place(folder: Path) -> CachedPlace:
    return CachedPlace(ObjectStore("s3://bucket/d", SLOW), patient_cache(folder), SLOW)


def local_place(folder: Path, limit_files: float = 100) -> CachedPlace:
    return CachedPlace(write_remote(folder / "remote", 2), patient_cache(folder, limit_files), SLOW)


def seconds_to_give_up(place: CachedPlace, wait: Callable[[], object]) -> float:
    """How long it takes that a wait, 0.3 s old, is given up after `interrupt`; it cannot be begun
    again before `proceed`."""
    raised: list[BlankstreamError] = []

    def run() -> None:
        try:
            wait()
        except BlankstreamError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    begun = time.monotonic()
    place.interrupt()
    thread.join(20)
    seconds = time.monotonic() - begun
    run()
    place.proceed()
    assert [type(error).__mro__[1] for error in raised] == [StorageError] * 2
    assert all("given up" in str(error) for error in raised)
    return seconds


def test_a_wait_for_locks_ends(tmp_path: Path) -> None:
    place, cache = local_place(tmp_path), patient_cache(tmp_path)
    with cache.locked(stored_file(0).hashes.sha256):
        assert seconds_to_give_up(place, lambda: place.path(stored_file(0))) < 5
        aside = CorruptDataError("x")
        assert seconds_to_give_up(place, lambda: place.set_aside(stored_file(0), aside)) < 5
    with cache.locked_all():
        assert seconds_to_give_up(place, lambda: place.path(stored_file(0))) < 5
    flip(place.path(stored_file(1)), 1)
    with cache.locked_all():
        assert seconds_to_give_up(place, lambda: place.set_aside(stored_file(1), aside)) < 5
    assert content(place, 0) == content_of(0)


def test_a_wait_for_room_ends(tmp_path: Path) -> None:
    place, cache = local_place(tmp_path, 1), patient_cache(tmp_path, 1)
    with make_draft(cache, stored_file(0).hashes, Urgency.NEEDED):
        assert seconds_to_give_up(place, lambda: place.path(stored_file(1))) < 5
    assert content(place, 1) == content_of(1)


@pytest.mark.parametrize("fault", ["sleep", "error", WRONG])
def test_a_wait_for_a_server_ends(server: ObjectServer, tmp_path: Path, fault: str) -> None:
    """In the middle of a request, between two of them, and between two damaged downloads."""
    place = remote_place(tmp_path)
    content(place, 1)
    with server.failing(Faults({fault: 1.0}, sleep_seconds=30.0)):
        assert seconds_to_give_up(place, lambda: place.path(stored_file(0))) < 5
    assert list((tmp_path / "cache" / "drafts").iterdir()) == []
    assert content(place, 0) == content_of(0)


def test_what_is_there_is_not_given_out_either(tmp_path: Path) -> None:
    place = place_of(tmp_path, 4)
    content(place, 0)
    place.interrupt()
    with pytest.raises(StorageError, match=r"remote/shards/0\.arrow: given up"):
        place.path(stored_file(0))
    place.ahead(stored_files(3))
    wait_until(lambda: len(held(cache_of(tmp_path))) == 3)
    place.proceed()
    assert content(place, 3) == content_of(3)
    place.close()


@pytest.mark.parametrize("fault", ["sleep", "error", WRONG])
def test_threads_that_fetch_ahead_end_with_their_place_whatever_they_wait_for(
    server: ObjectServer, tmp_path: Path, fault: str
) -> None:
    place = remote_place(tmp_path)
    content(place, 1)
    with server.failing(Faults({fault: 1.0}, sleep_seconds=30.0)) as faults, ExitStack() as stack:
        place.ahead(stored_files(8))
        wait_until(lambda: faults.injected[fault] >= 3)
        stack.enter_context(patient_cache(tmp_path).locked_all())
        begun = time.monotonic()
        place.close()
        assert time.monotonic() - begun < 5
        assert ahead_threads() == 0
