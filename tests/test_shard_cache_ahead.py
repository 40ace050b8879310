"""What comes next is fetched by a few threads, the soonest first, and never in anybody's way."""

import threading
from pathlib import Path

import pytest

from pipeline.shard_cache import ahead as ahead_module
from pipeline.shard_cache.ahead import NUM_THREADS, Ahead
from pipeline.shard_cache.room import NoRoomError
from pipeline.stores.stopping import Stop
from schemas.errors import CorruptDataError, StorageError
from schemas.manifest import StoredFile
from tests.cached_files import (
    SIZE,
    ahead_threads,
    cache_of,
    content_of,
    held,
    names,
    place_of,
    stored_file,
    stored_files,
    wait_until,
)

ROOT = Path(__file__).resolve().parents[1]


def test_what_is_wanted_is_there_before_it_is_asked_for(tmp_path: Path) -> None:
    place, cache = place_of(tmp_path, 10), cache_of(tmp_path)
    place.ahead(stored_files(10))
    wait_until(lambda: held(cache) == names(*stored_files(10)))
    (tmp_path / "remote").rename(tmp_path / "away")
    for number in range(10):
        assert place.path(stored_file(number)).read_bytes() == content_of(number)
    place.close()
    assert ahead_threads() == 0


def test_the_soonest_are_fetched_as_far_as_the_limit_admits(tmp_path: Path) -> None:
    place, cache, files = place_of(tmp_path, 10, 4), cache_of(tmp_path, 4), stored_files(10)
    for stored in files[8:]:
        place.path(stored)
    place.ahead([*files[:3], *files[:3], *files[3:]])
    wait_until(lambda: held(cache) == names(*files[:4]))
    place.ahead(files[2:])
    wait_until(lambda: held(cache) == names(*files[2:6]))
    place.path(files[9])
    assert held(cache) == names(*files[2:5], files[9])
    place.close()


def test_threads_take_the_soonest_first_and_a_newer_list_replaces_the_rest() -> None:
    begun: list[str] = []
    gate = threading.Semaphore(0)

    def fetch(stored: StoredFile, stop: Stop) -> None:
        begun.append(stored.path)
        gate.acquire()

    ahead, files = Ahead(fetch), stored_files(20)
    ahead.want(files[:10])
    wait_until(lambda: len(begun) == NUM_THREADS)
    assert sorted(begun) == sorted(file.path for file in files[:NUM_THREADS])
    ahead.want(files[10:])
    gate.release(100)
    wait_until(lambda: len(begun) == NUM_THREADS + 10)
    assert set(begun[NUM_THREADS:]) == {file.path for file in files[10:]}
    ahead.close()


def test_without_room_it_rests_and_then_goes_on_with_the_same_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ahead_module, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(ahead_module, "NUM_THREADS", 1)
    begun: list[str] = []

    def fetch(stored: StoredFile, stop: Stop) -> None:
        begun.append(stored.path)
        if len(begun) < 4:
            raise NoRoomError

    ahead, files = Ahead(fetch), stored_files(3)
    ahead.want(files)
    wait_until(lambda: len(begun) == 6)
    assert begun == [files[0].path] * 3 + [file.path for file in files]
    ahead.close()


def test_files_without_room_keep_their_order_whichever_thread_says_so_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ahead_module, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(ahead_module, "NUM_THREADS", 0)  # the test takes their part
    ahead, files = Ahead(lambda stored, stop: None), stored_files(5)
    ahead.want(files)
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        taken = [ahead._next() for _ in range(4)]
        for number in order:
            found = taken[number]
            assert found
            ahead._rest(*found)
    rest = [ahead._next() for _ in range(5)]
    assert [found[2] for found in rest if found] == files


def test_errors_are_left_to_whoever_asks_for_the_file(tmp_path: Path) -> None:
    place, cache = place_of(tmp_path, 4), cache_of(tmp_path)
    (tmp_path / "remote/shards/1.arrow").unlink()
    (tmp_path / "remote/shards/2.arrow").write_bytes(b"x" * SIZE)
    place.ahead(stored_files(4))
    wait_until(lambda: held(cache) == names(stored_file(0), stored_file(3)))
    place.close()
    for number, what in ((1, "missing"), (2, r"region 0 of 5 \(bytes 0\.\.2000\) is damaged")):
        with pytest.raises(CorruptDataError, match=rf"{number}\.arrow: {what}"):
            place.path(stored_file(number))


def test_a_cache_that_is_gone_is_met_by_who_asks(tmp_path: Path) -> None:
    place = place_of(tmp_path, 1)
    (tmp_path / "cache").rename(tmp_path / "away")
    place.ahead(stored_files(1))
    with pytest.raises(StorageError, match=r"cache: is no cache any more"):
        place.path(stored_file(0))
    place.close()


@pytest.mark.parametrize("most", [0, 2])
def test_without_more_threads_fewer_fetch_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    start, begun = threading.Thread.start, [0]

    def limited(thread: threading.Thread) -> None:
        if thread.name.startswith("blankstream-ahead"):
            if begun[0] == most:
                raise RuntimeError("can't start new thread")
            begun[0] += 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    place, cache, files = place_of(tmp_path, 6), cache_of(tmp_path), stored_files(6)
    place.ahead(files[:5])
    if most:
        wait_until(lambda: held(cache) == names(*files[:5]))
    assert (ahead_threads(), begun) == (most, [most])
    assert place.path(files[5]).read_bytes() == content_of(5)
    monkeypatch.undo()
    place.ahead(files)
    wait_until(lambda: held(cache) == names(*files))
    assert ahead_threads() == NUM_THREADS
    place.close()
    assert ahead_threads() == 0


def test_a_thread_that_finds_work_wakes_the_next_one() -> None:
    begun: list[str] = []
    gate = threading.Semaphore(0)

    def fetch(stored: StoredFile, stop: Stop) -> None:
        begun.append(stored.path)
        gate.acquire()

    ahead, files = Ahead(fetch), stored_files(NUM_THREADS)
    for number in range(1, 4):  # all threads wait each time
        ahead.want(files)
        wait_until(lambda expected=number * NUM_THREADS: len(begun) == expected)
        gate.release(NUM_THREADS)
    ahead.close()
    assert not any(thread.is_alive() for thread in ahead._threads)
