"""Room in a cache: its limit holds, and what goes is what is not needed soon."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.shard_cache.contents import look
from pipeline.shard_cache.eviction import CacheRules, Urgency
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.quarantine import quarantine
from pipeline.shard_cache.room import check_room, make_draft
from schemas.errors import StorageError, UserError
from tests.cached_files import SIZE, cache_of, held, put, stored_file, stored_files

ROOT = Path(__file__).resolve().parents[1]
HASTY = CacheRules(patience_seconds=0.1, longest_seconds=0.7, poll_seconds=0.02)
LONG_AGO = 1_000_000_000


def total(cache: CacheFolder) -> int:
    return look(cache.folder).bytes


def test_what_others_are_fetching_is_waited_for(tmp_path: Path) -> None:
    cache, (a, b) = cache_of(tmp_path, 1, HASTY), stored_files(2)
    with make_draft(cache, a.hashes, Urgency.NEEDED), pytest.raises(StorageError) as raised:
        make_draft(cache, b.hashes, Urgency.NEEDED)
    message = rf"no room for a file after 1 s: {SIZE} bytes .*\({SIZE} by what is being fetched\)"
    raised.match(message)
    make_draft(cache, b.hashes, Urgency.NEEDED).release()


def test_a_download_that_has_just_ended_is_not_in_the_way_for_long(tmp_path: Path) -> None:
    rules = CacheRules(patience_seconds=0.1, longest_seconds=5.0, poll_seconds=0.02)
    cache, (a, b), begun = cache_of(tmp_path, 2, rules), stored_files(2), threading.Event()

    def fetch() -> None:
        with cache.locked(a.hashes.sha256), cache.locked(b.hashes.sha256):
            drafts = [make_draft(cache, one.hashes, Urgency.NEEDED) for one in (a, b)]
            begun.set()
            time.sleep(1.5)
            for draft in drafts:
                draft.commit()
            time.sleep(0.2)

    other = threading.Thread(target=fetch)
    other.start()
    begun.wait()
    make_draft(cache, stored_file(2, 2 * SIZE).hashes, Urgency.NEEDED).release()
    assert held(cache) == set()
    other.join()


def test_what_does_not_fit_at_all_is_said_at_once(tmp_path: Path) -> None:
    cache, big = cache_of(tmp_path, 1), stored_file(0, 2 * SIZE)
    begun = time.monotonic()
    message = rf"larger than the cache: {2 * SIZE} .* limit is {SIZE}, .*`--cache-bytes`"
    with pytest.raises(UserError, match=message):
        make_draft(cache, big.hashes, Urgency.NEEDED)
    assert time.monotonic() - begun < 0.5


def test_copies_set_aside_make_room_first_and_are_never_many(tmp_path: Path) -> None:
    cache, files = cache_of(tmp_path, 20), stored_files(12)
    for stored in files:
        put(cache, stored)
        quarantine(cache, stored.hashes.sha256, {"why": "a test"})
    aside = look(cache.folder).aside
    assert [one.sha256 for one in aside] == [file.hashes.sha256 for file in files[-5:]]
    assert len(list((cache.folder / "quarantine").glob("*.json"))) == 12
    put(cache, *files, *stored_files(20)[12:16])
    assert len(held(cache)) == 16
    assert len(look(cache.folder).aside) == 4
    for _ in range(60):
        put(cache, files[0])
        quarantine(cache, files[0].hashes.sha256, {"why": "a test"})
    assert len(list((cache.folder / "quarantine").glob("*.json"))) == 64
    assert len(look(cache.folder).aside) == 5


@settings(max_examples=settings().max_examples // 3)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), max_size=30), st.integers(10, 30))
def test_the_limit_holds_whatever_is_asked_for(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int]], limit: int
) -> None:
    cache = cache_of(tmp_path_factory.mktemp("c"), limit / 10, CacheRules(spared_seconds=0))
    for number, tenths in asked:
        stored = stored_file(number * 10 + tenths, SIZE * (tenths + 6) // 10)
        if stored.hashes.sha256 not in held(cache):
            put(cache, stored)
        assert stored.hashes.sha256 in held(cache)
        assert total(cache) <= cache.limit_bytes


def test_too_small_a_cache_is_refused_with_all_numbers(tmp_path: Path) -> None:
    cache, free = cache_of(tmp_path, 3), os.statvfs(tmp_path)
    put(cache, *stored_files(2))
    check_room(cache, 3 * SIZE, "a window of 3 shards")
    message = (
        rf"cache: too small for a window of 4 shards: {4 * SIZE} bytes are needed at once, the "
        rf"limit of the cache is {3 * SIZE}, it holds {2 * SIZE}, and its disk has \d+ more; raise"
    )
    with pytest.raises(UserError, match=message):
        check_room(cache, 4 * SIZE, "a window of 4 shards")
    large = CacheFolder(tmp_path / "large", 2**60)
    with pytest.raises(UserError, match=rf"{2**59} bytes are needed .* limit .* is {2**60}, it ho"):
        check_room(large, 2**59, "x")
    assert free.f_bavail * free.f_frsize < 2**59


_FULL_DISK = """
import subprocess, sys
from pathlib import Path
folder, remote = map(Path, sys.argv[1:])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", folder], check=True)
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_cache.room import check_room
from schemas.errors import BlankstreamError
from tests.cached_files import *
write_remote(remote, 30)
cache = CacheFolder(folder / "cache", 10**9, RULES)
place = CachedPlace(LocalStore(remote), cache, QUICK)
for stored in stored_files(30):
    assert place.path(stored).read_bytes() == content_of(int(stored.path[7:-6]))
print(len(held(cache)) in (4, 5, 6, 7, 8), cache.disk_free() >= 0)
(folder / "foreign").write_bytes(b"x" * cache.disk_free())
print(place.path(stored_file(0)).read_bytes() == content_of(0))
for path in (cache.folder / "objects").glob("*/*"):
    path.unlink()
(folder / "more").write_bytes(b"x" * cache.disk_free())
for act in (lambda: place.path(stored_file(1)), lambda: check_room(cache, 50_000, "a test")):
    try:
        act()
    except BlankstreamError as error:
        print(type(error).__name__, error)
(folder / "more").unlink()
print(place.path(stored_file(1)).read_bytes() == content_of(1))
"""


@pytest.mark.fault
def test_a_full_disk_evicts_and_then_is_one_message(tmp_path: Path) -> None:
    disk, remote = tmp_path / "disk", tmp_path / "remote"
    disk.mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-W", "ignore"]
    run = subprocess.run(
        [*command, "-c", _FULL_DISK, str(disk), str(remote)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    fits, goes_on, full, refused, ends_well = run.stdout.splitlines()
    assert (fits, goes_on, ends_well) == ("True True", "True", "True")
    assert full.startswith(f"StorageError {disk}/cache: no room for a file after 0 s: 10000 bytes")
    assert "the limit is 1000000000" in full
    assert "free; free space on the disk" in full
    assert refused.startswith(f"UserError {disk}/cache: too small for a test: 50000 bytes are nee")
