"""Rows read through a cache are the rows of the data set, whatever befalls the copies."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset import Dataset, parse_dataset
from pipeline.shard_cache.eviction import CacheRules
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.stores.local import LocalStore
from schemas.errors import CorruptDataError
from tests.cached_files import QUICK, RULES
from tests.datasets import Content, flip, random_rows, write_dataset

CONTENT = Content(rows=240, shards=12)
ROWS = random_rows(CONTENT).rows
SPARING = CacheRules(spared_seconds=0.02, patience_seconds=1.0, poll_seconds=0.01)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "remote", CONTENT)


def opened(remote: Path, cache: CacheFolder) -> Dataset:
    place = CachedPlace(LocalStore(remote), cache, QUICK)
    return parse_dataset(LocalStore(remote), place, (remote / "manifest.json").read_bytes())


def cache_for(remote: Path, shards: float, rules: CacheRules = RULES) -> CacheFolder:
    """A cache with room for the table and so many shards."""
    largest = max(path.stat().st_size for path in remote.glob("shards/*/*"))
    table = next(remote.glob("shards-*.arrow")).stat().st_size
    return CacheFolder(remote.parent / "cache", int(shards * largest) + table, rules)


def copies(cache: CacheFolder) -> list[Path]:
    return sorted((cache.folder / "objects").glob("*/*"))


def test_windows_of_shards_pass_through_a_cache_that_holds_two(remote: Path) -> None:
    cache = cache_for(remote, 4.2)
    reader = opened(remote, cache).reader("train")
    rng = np.random.default_rng(1)
    for _ in range(3):
        for window in range(6):
            first = 2 * window
            reader.ahead([(0, number) for number in range(first, min(first + 4, 12))])
            numbers = rng.permutation(np.arange(20 * first, 20 * (first + 2)))
            assert (reader.gather(numbers) == ROWS[numbers]).all()
    assert sum(path.stat().st_size for path in copies(cache)) <= cache.limit_bytes
    reader.close()


def test_two_readers_with_orders_of_their_own_both_come_to_their_end(remote: Path) -> None:
    readers = [
        opened(remote, cache_for(remote, 3, SPARING)).reader("train", max_open_shards=2)
        for _ in range(2)
    ]
    for shard in range(12):
        for reader, place in zip(readers, (shard, 11 - shard), strict=True):
            numbers = np.arange(20 * place, 20 * place + 20)
            assert (reader.gather(numbers) == ROWS[numbers]).all()


@pytest.mark.fault
def test_a_bit_flipped_in_any_copy_during_a_run_or_before_it_is_mended(remote: Path) -> None:
    cache, everything = cache_for(remote, 100), np.arange(len(ROWS))
    for _ in range(2):
        reader = opened(remote, cache).reader("train")
        for _ in range(2):
            assert (reader.gather(everything) == ROWS).all()
            for path in copies(cache):
                flip(path, path.stat().st_size // 3)
        assert (reader.gather(everything) == ROWS).all()
        for path in copies(cache):
            flip(path, path.stat().st_size // 2)
        reader.close()


@pytest.mark.fault
def test_copies_deleted_truncated_or_replaced_during_a_run_are_fetched_again(remote: Path) -> None:
    cache, everything = cache_for(remote, 100), np.arange(len(ROWS))
    reader = opened(remote, cache).reader("train")
    assert (reader.gather(everything) == ROWS).all()
    first, second, third, *_ = copies(cache)
    first.unlink()
    os.truncate(second, 100)
    other = third.with_name("other")
    other.write_bytes(b"x" * third.stat().st_size)
    other.replace(third)
    assert (reader.gather(everything) == ROWS).all()


@pytest.mark.fault
def test_a_shard_that_is_damaged_where_it_comes_from_is_named(remote: Path) -> None:
    reader = opened(remote, cache_for(remote, 100)).reader("train")
    flip(remote / "shards/train/00003.arrow", 2000)
    assert (reader.gather(np.arange(60)) == ROWS[:60]).all()
    message = (
        r"00003\.arrow: region \d of 6 \(bytes \d+\.\.\d+\) is damaged: expected xxh3 \w{16}, f"
    )
    with pytest.raises(CorruptDataError, match=message):
        reader.gather(np.arange(60, 80))
    assert (reader.gather(np.arange(80, 240)) == ROWS[80:]).all()
