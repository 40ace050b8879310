"""What processes that share a cache do in tests: read files of a bucket in an order, in windows."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from pipeline.shard_cache.eviction import CacheRules
from pipeline.shard_cache.place import CachedPlace
from pipeline.stores.objects import ObjectStore
from tests.cached_files import PATIENT, QUICK, SIZE, cache_of, content_of, stored_file
from tests.object_server import ObjectServer, object_server

FORK = multiprocessing.get_context("fork")
"""For what needs next to nothing."""
CLEAN = multiprocessing.get_context("forkserver")
"""For what talks to servers: forked from a process without threads, and without Ray."""
CLEAN.set_forkserver_preload(["tests.cache_processes"])
NUM_FILES = 12
BRIEF = CacheRules(
    spared_seconds=0.05, patience_seconds=1.0, longest_seconds=20.0, poll_seconds=0.01
)


@contextmanager
def filled_server() -> Iterator[ObjectServer]:
    """A server with a bucket that has `NUM_FILES` files below `d`."""
    with object_server() as running:
        running.put("/bucket")
        for number in range(NUM_FILES):
            running.put(f"/bucket/d/shards/{number}.arrow", content_of(number))
        yield running


def clean_process(
    server: ObjectServer, work: Callable[..., None], *arguments: object
) -> ForkServerProcess:
    """A process that will do `work`, which a module has by name, with the server's objects."""
    return CLEAN.Process(target=_work_there, args=(server.environment, work, arguments))


def _work_there(
    environment: dict[str, str], work: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    os.environ.update(environment)
    work(*arguments)


def new_place(folder: Path, limit_files: float) -> CachedPlace:
    """The files of the bucket, through a cache that has room for some of them."""
    store = ObjectStore("s3://bucket/d", PATIENT, read_seconds=2.0)
    return CachedPlace(store, cache_of(folder, limit_files, BRIEF), QUICK)


def read_in_order(folder: Path, limit_files: float, order: list[int], window: int) -> None:
    """Read windows of files, each several times over, as a reader with mappings does."""
    place, cache = new_place(folder, limit_files), cache_of(folder, limit_files, BRIEF)
    for start in range(0, len(order), window):
        place.ahead([stored_file(number) for number in order[start : start + 2 * window]])
        for number in order[start : start + window] * 3:
            assert opened(place, number) == content_of(number)
        with cache.locked_all() as contents:
            assert contents.bytes <= limit_files * SIZE
    place.close()


def opened(place: CachedPlace, number: int) -> bytes:
    """A file as a reader opens it, which asks again where it came too late."""
    for _ in range(20):
        with suppress(FileNotFoundError):
            return place.path(stored_file(number)).read_bytes()
    raise AssertionError(f"file {number} was never there")
