"""What goes from a full cache is what is not needed soon, and what nobody uses just now."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.shard_cache.eviction import CacheRules, Urgency
from pipeline.shard_cache.room import NoRoomError, make_draft
from tests.cached_files import cache_of, held, names, put, stored_files, used_at

SPARING = CacheRules(spared_seconds=60, patience_seconds=20, poll_seconds=0.02)
IMPATIENT = CacheRules(spared_seconds=20, patience_seconds=1, poll_seconds=0.02)
LONG_AGO = 1_000_000_000


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache, (a, b, c, d, e) = cache_of(tmp_path, 3), stored_files(5)
    put(cache, a, b, c)
    cache.uses.touch(a.hashes.sha256)
    put(cache, d)
    assert held(cache) == names(a, c, d)
    put(cache, e)
    assert held(cache) == names(a, d, e)
    assert not (cache.folder / "locks" / b.hashes.sha256[:2] / b.hashes.sha256).exists()


def test_what_is_expected_goes_last_and_then_the_last_of_it(tmp_path: Path) -> None:
    cache, (a, b, c, d, e, f) = cache_of(tmp_path, 3), stored_files(6)
    put(cache, a, b, c)
    cache.uses.expect("reader", [stored.hashes.sha256 for stored in (a, b)])
    put(cache, d)
    assert held(cache) == names(a, b, d)
    put(cache, e)
    assert held(cache) == names(a, b, e)
    cache.uses.expect("other", names(e))
    put(cache, f)
    assert held(cache) == names(a, e, f)
    cache.uses.expect("reader", [])
    put(cache, b)
    assert held(cache) == names(e, f, b)


def test_fetching_ahead_takes_nothing_that_is_expected_or_was_just_used(tmp_path: Path) -> None:
    cache, (a, b, c) = cache_of(tmp_path, 2), stored_files(3)
    put(cache, a, b, used=LONG_AGO)
    cache.uses.expect("reader", names(a, b))
    with pytest.raises(NoRoomError):
        make_draft(cache, c.hashes, Urgency.AHEAD)
    cache.uses.expect("reader", names(a))
    cache.uses.touch(b.hashes.sha256)
    with pytest.raises(NoRoomError):
        make_draft(cache, c.hashes, Urgency.AHEAD)
    used_at(cache, b, LONG_AGO)
    make_draft(cache, c.hashes, Urgency.AHEAD).release()
    assert held(cache) == names(a)


def test_what_another_process_just_used_is_spared_for_a_while(tmp_path: Path) -> None:
    cache, (a, b, c, d) = cache_of(tmp_path, 2, SPARING), stored_files(4)
    put(cache, a, used=time.time())
    put(cache, b)
    put(cache, c)
    assert held(cache) == names(a, c)
    begun = time.monotonic()
    used_at(cache, c, time.time() + 1 - SPARING.spared_seconds)
    put(cache, d)
    assert 0.9 < time.monotonic() - begun < 10
    assert held(cache) == names(a, d)


def test_what_is_needed_gets_room_though_others_go_on_using_theirs(tmp_path: Path) -> None:
    cache, (a, b, c) = cache_of(tmp_path, 2, IMPATIENT), stored_files(3)
    put(cache, a, b, used=time.time())
    stop = threading.Event()

    def use() -> None:
        while not stop.wait(0.05):
            for stored in (a, b):
                with suppress(FileNotFoundError):
                    used_at(cache, stored, time.time())

    other = threading.Thread(target=use)
    other.start()
    begun = time.monotonic()
    try:
        put(cache, c)
        assert 0.9 < time.monotonic() - begun < 10
    finally:
        stop.set()
        other.join()
    assert len(held(cache)) == 2
