"""The threads that fetch ahead end with their place, and never keep a process alive."""

import gc
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.shard_cache.place import CachedPlace
from pipeline.stores.local import LocalStore
from pipeline.stores.stopping import NEVER, Stop
from tests.cached_files import (
    QUICK,
    SIZE,
    ahead_threads,
    cache_of,
    content_of,
    held,
    place_of,
    stored_file,
    stored_files,
    wait_until,
    write_remote,
)

ROOT = Path(__file__).resolve().parents[1]
NUM_PIECES = 100


class SlowStore(LocalStore):
    """A store of which every piece is late, and which counts them."""

    seconds, asked = 0.3, 0
    """Of a whole file; pieces."""

    def pieces(self, name: str, stop: Stop = NEVER) -> Iterator[bytes]:
        """Content in `NUM_PIECES`."""
        content = self.read(name)
        for start in range(0, SIZE, SIZE // NUM_PIECES):
            self.asked += 1
            time.sleep(self.seconds / NUM_PIECES)
            yield content[start : start + SIZE // NUM_PIECES]


def slow_place(folder: Path) -> tuple[CachedPlace, SlowStore]:
    write_remote(folder / "remote", 10)
    store = SlowStore(folder / "remote")
    return CachedPlace(store, cache_of(folder), QUICK), store


def test_what_is_being_fetched_ahead_is_waited_for_and_not_fetched_twice(tmp_path: Path) -> None:
    place, store = slow_place(tmp_path)
    place.ahead(stored_files(1))
    wait_until(lambda: store.asked > 0)
    assert place.path(stored_file(0)).read_bytes() == content_of(0)
    assert store.asked == NUM_PIECES
    place.close()


def test_close_ends_what_is_under_way_and_the_place_can_be_used_again(tmp_path: Path) -> None:
    place, store = slow_place(tmp_path)
    store.seconds = 20
    place.ahead(stored_files(10))
    wait_until(lambda: store.asked > 0)
    begun = time.monotonic()
    place.close()
    place.close()
    assert time.monotonic() - begun < 5
    assert ahead_threads() == 0
    assert held(cache_of(tmp_path)) == set()
    assert list((tmp_path / "cache/drafts").iterdir()) == []
    store.seconds = 0.3
    assert place.path(stored_file(0)).read_bytes() == content_of(0)
    place.ahead(stored_files(2))
    wait_until(lambda: len(held(cache_of(tmp_path))) == 2)
    place.close()


def test_a_place_that_is_garbage_ends_its_threads_and_expects_nothing(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    place = CachedPlace(write_remote(tmp_path / "remote", 3), cache, QUICK)
    place.ahead(stored_files(3))
    assert len(cache.uses.expected()) == 3
    del place
    gc.collect()
    wait_until(lambda: ahead_threads() == 0)
    assert cache.uses.expected() == {}


def test_the_child_of_a_fork_fetches_for_itself(tmp_path: Path) -> None:
    place, cache = place_of(tmp_path, 6), cache_of(tmp_path)
    place.ahead(stored_files(2))

    def work() -> None:
        place.ahead(stored_files(6))
        wait_until(lambda: len(held(cache)) == 6)
        assert place.path(stored_file(5)).read_bytes() == content_of(5)
        place.close()
        os._exit(7)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(20)
    assert child.exitcode == 7
    place.close()


_FORGETFUL = """
import sys
from pathlib import Path
from tests.test_shard_cache_threads import *
SlowStore.seconds = 60
place, _ = slow_place(Path(sys.argv[1]))
place.ahead(stored_files(10))
wait_until(lambda: ahead_threads() == 4)
"""


def test_a_process_that_forgets_to_close_ends_all_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _FORGETFUL, str(tmp_path)]
    begun = time.monotonic()
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert time.monotonic() - begun < 30
    with cache_of(tmp_path).locked_all() as contents:
        assert contents.bytes == 0
