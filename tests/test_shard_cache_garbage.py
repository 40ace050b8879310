"""A place that is garbage ends its part in the cache, in whatever thread and lock that happens."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cached_files import RULES, cache_of, names, stored_files

ROOT = Path(__file__).resolve().parents[1]

SCRIPT = """
import gc, sys, threading
from pathlib import Path
from tests.cached_files import ahead_threads, cache_of, stored_files, wait_until, write_remote
from pipeline.shard_cache.place import CachedPlace

folder = Path(sys.argv[1])
cache, store, files = cache_of(folder), write_remote(folder / "remote", 2), stored_files(2)
other = CachedPlace(store, cache)
other.ahead(files[:1])
gc.disable()


def leave_garbage():
    place = CachedPlace(store, cache)
    place.ahead(files)
    place.itself = place
    return place._ahead._lock


def in_lock():
    lock_of_garbage = leave_garbage()
    assert list(cache.uses.expected()) == [one.hashes.sha256 for one in files]
    with {lock}:
        gc.collect()


in_lock()
assert list(cache.uses.expected()) == [files[0].hashes.sha256]
wait_until(lambda: ahead_threads() == 1)
other.close()
wait_until(lambda: ahead_threads() == 0)
print("done")
"""


@pytest.mark.parametrize("lock", ["cache.uses._lock", "lock_of_garbage"])
def test_a_collection_inside_a_held_lock_does_not_wait_for_it(tmp_path: Path, lock: str) -> None:
    command = [sys.executable, "-c", SCRIPT.replace("{lock}", lock), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_what_a_dropped_reader_expected_is_forgotten_and_may_be_said_anew(tmp_path: Path) -> None:
    uses, files = cache_of(tmp_path, 10, RULES).uses, stored_files(3)
    first, second = sorted(names(files[0])), sorted(names(*files[1:]))
    uses.expect("one", first)
    uses.expect("two", second)
    with uses._lock:
        uses.drop("two")
    assert uses.expected().keys() == set(first)
    uses.drop("one")
    uses.expect("one", second)
    assert uses.expected().keys() == set(second)
    uses.drop("nobody")
    assert uses.expected().keys() == set(second)
