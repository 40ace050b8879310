"""Files with hashes of their regions, in a folder that stands for a remote data set, and places
that fetch them: shared by the tests of the cache."""

import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import xxhash

from pipeline.shard_cache.eviction import CacheRules, Urgency
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_cache.room import make_draft
from pipeline.stores.local import LocalStore
from pipeline.stores.retries import Retries
from schemas.manifest import FileHashes, StoredFile

PATIENT = Retries(tries=40, seconds=30.0, first_wait_seconds=0.001, max_wait_seconds=0.02)
QUICK = Retries(tries=4, first_wait_seconds=0.001, max_wait_seconds=0.01)
RULES = CacheRules(spared_seconds=0.3, patience_seconds=1.0, longest_seconds=5.0, poll_seconds=0.02)
SIZE = 10_000
"""Bytes of a file, unless a test says otherwise."""


def hashes_of(content: bytes, regions: int = 5) -> FileHashes:
    """`content` in regions of about equal size."""
    offsets = tuple(len(content) * number // regions for number in range(regions + 1))
    xxh3 = tuple(
        xxhash.xxh3_64_intdigest(content[start:stop]) for start, stop in itertools.pairwise(offsets)
    )
    return FileHashes(len(content), hashlib.sha256(content).hexdigest(), offsets, xxh3)


def content_of(number: int, size: int = SIZE) -> bytes:
    """File `number`, the same in every process."""
    return hashlib.shake_128(str(number).encode()).digest(size)


def stored_file(number: int, size: int = SIZE) -> StoredFile:
    """What a manifest says of file `number`."""
    return StoredFile(f"shards/{number}.arrow", hashes_of(content_of(number, size)))


def stored_files(count: int, size: int = SIZE) -> list[StoredFile]:
    """What a manifest says of the first `count` files."""
    return [stored_file(number, size) for number in range(count)]


def write_remote(folder: Path, count: int, size: int = SIZE) -> LocalStore:
    """The first `count` files in `folder`."""
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"shards/{number}.arrow").write_bytes(content_of(number, size))
    return LocalStore(folder)


def cache_of(folder: Path, limit_files: float = 100, rules: CacheRules = RULES) -> CacheFolder:
    """A cache with room for so many files of the usual size."""
    return CacheFolder(folder / "cache", int(limit_files * SIZE), rules)


def place_of(folder: Path, count: int, limit_files: float = 100) -> CachedPlace:
    """A place with so many remote files, and a cache for so many."""
    return CachedPlace(write_remote(folder / "remote", count), cache_of(folder, limit_files), QUICK)


def held(cache: CacheFolder) -> set[str]:
    """SHA-256 of what lies in the cache."""
    return {path.name for path in (cache.folder / "objects").glob("*/*")}


def everything(folder: Path) -> dict[str, bytes]:
    """Content by name of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def used_at(cache: CacheFolder, stored: StoredFile, seconds: float) -> None:
    """Pretend that another process used a file at a time (s since 1970)."""
    lock = cache.folder / "locks" / stored.hashes.sha256[:2] / stored.hashes.sha256
    os.utime(lock, (seconds, seconds))


def put(cache: CacheFolder, *files: StoredFile, used: float = 0) -> None:
    """Files in the cache, in this order of use; or used by another process at a time."""
    for stored in files:
        with (
            cache.locked(stored.hashes.sha256),
            make_draft(cache, stored.hashes, Urgency.NEEDED) as draft,
        ):
            cache.uses.touch(stored.hashes.sha256)
            draft.commit()
        if used:
            used_at(cache, stored, used)


def names(*files: StoredFile) -> set[str]:
    """Their SHA-256."""
    return {stored.hashes.sha256 for stored in files}


def content(place: CachedPlace, number: int) -> bytes:
    """File `number` through a place."""
    return place.path(stored_file(number)).read_bytes()


def wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that threads bring about."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.005)


def ahead_threads() -> int:
    """How many threads of this process fetch ahead."""
    return sum(one.name.startswith("blankstream-ahead") for one in threading.enumerate())
