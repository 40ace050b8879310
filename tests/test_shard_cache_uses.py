"""What one process knows of its uses of a cache, whoever in it opened the folder."""

import multiprocessing
import os
from pathlib import Path

from pipeline.shard_cache.eviction import CacheRules, Urgency, victims
from tests.cached_files import cache_of, names, put, stored_files

FORK = multiprocessing.get_context("fork")
SPARING = CacheRules(spared_seconds=60)


def needed_victims(folder: Path) -> set[str]:
    """What may go for a file that is needed, told by a cache that is opened just now."""
    cache = cache_of(folder, rules=SPARING)
    with cache.locked_all() as contents:
        return {one.sha256 for one in victims(contents, cache.uses, SPARING, Urgency.NEEDED)}


def test_who_opens_a_cache_again_does_not_wait_for_what_was_used_here(tmp_path: Path) -> None:
    files = stored_files(2)
    put(cache_of(tmp_path, rules=SPARING), *files)
    assert needed_victims(tmp_path) == names(*files)


def test_the_child_of_a_fork_that_opens_a_cache_is_another_process(tmp_path: Path) -> None:
    put(cache_of(tmp_path, rules=SPARING), *stored_files(2))

    def look() -> None:
        os._exit(len(needed_victims(tmp_path)))

    child = FORK.Process(target=look)
    child.start()
    child.join(20)
    assert child.exitcode == 0


def test_readers_of_one_folder_leave_each_other_what_they_expect(tmp_path: Path) -> None:
    first, second = (cache_of(tmp_path, rules=SPARING) for _ in range(2))
    first.uses.expect("one", ["a"])
    second.uses.expect("two", ["b"])
    assert first.uses.expected().keys() == {"a", "b"}
    first.uses.drop("one")
    assert second.uses.expected().keys() == {"b"}
