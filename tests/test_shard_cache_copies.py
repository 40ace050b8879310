"""Copies in a cache: damaged ones are set aside, good ones are left as their readers know them."""

import json
import time
from pathlib import Path

import pytest

from pipeline.shard_cache.eviction import CacheRules
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_formats.verified_file import VerifiedFile
from schemas.errors import CorruptDataError, StorageError
from tests.cached_files import (
    QUICK,
    SIZE,
    cache_of,
    content,
    content_of,
    place_of,
    stored_file,
    stored_files,
    write_remote,
)
from tests.datasets import flip

pytestmark = [
    pytest.mark.fault,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
]


def damaged(place: CachedPlace, number: int) -> bool:
    """Whether the reader, which found damage, may ask again."""
    return place.set_aside(stored_file(number), CorruptDataError("region 7 looks odd"))


def test_a_copy_damaged_between_runs_or_during_one_is_set_aside_and_fetched_again(
    tmp_path: Path,
) -> None:
    for run in range(3):
        place = place_of(tmp_path, 2)
        path = place.path(stored_file(0))
        flip(path, 4567)
        wrong = path.read_bytes()
        mapped = path.open("rb")
        assert damaged(place, 0)
        assert not path.exists()
        assert content(place, 0) == content_of(0)
        assert mapped.read() == wrong
        mapped.close()
        aside = tmp_path / "cache" / "quarantine" / f"{stored_file(0).hashes.sha256}-{run}"
        assert aside.read_bytes() == wrong
        note = json.loads(aside.with_name(f"{aside.name}.json").read_text())
        assert note["sha256"] == stored_file(0).hashes.sha256
        assert note["from"] == str(tmp_path / "remote/shards/0.arrow")
        assert note["why"].startswith("region 2 of 5 (bytes 4000..6000) is damaged: expected xxh3")
        assert note["why"].endswith("(a reader said: region 7 looks odd)")


def test_one_that_is_damaged_again_and_again_is_given_up(tmp_path: Path) -> None:
    place = place_of(tmp_path, 2)
    for _ in range(3):
        flip(place.path(stored_file(0)), 1)
        assert damaged(place, 0)
    message = (
        r"remote/shards/0\.arrow: arrived undamaged, but 4 copies .* \(region 7 looks odd\); ch"
    )
    for _ in range(2):
        flip(place.path(stored_file(0)), 1)
        with pytest.raises(CorruptDataError, match=message):
            damaged(place, 0)
    place.path(stored_file(1))
    assert damaged(place, 1)
    assert damaged(place_of(tmp_path, 2), 1)


def test_a_good_copy_is_not_set_aside_and_an_evicted_one_is_no_damaged_one(
    tmp_path: Path,
) -> None:
    place, path = place_of(tmp_path, 1), cache_of(tmp_path).path(stored_file(0).hashes.sha256)
    assert all(damaged(place, 0) for _ in range(20))
    before = place.path(stored_file(0)).stat()
    assert all(damaged(place, 0) for _ in range(3))
    with pytest.raises(CorruptDataError, match="then found damaged"):
        damaged(place, 0)
    assert path.stat() == before
    assert list((tmp_path / "cache" / "quarantine").iterdir()) == []


def test_a_copy_that_went_before_it_was_opened_is_no_damage_though_another_came_since(
    tmp_path: Path,
) -> None:
    place, stored = place_of(tmp_path, 1), stored_file(0)
    for _ in range(12):
        path = place.path(stored)
        path.unlink()
        with pytest.raises(CorruptDataError, match="No such file") as gone:
            VerifiedFile(path, stored.hashes, "x")
        place_of(tmp_path, 1).path(stored)
        assert place.set_aside(stored, gone.value)
    assert content(place, 0) == content_of(0)


def test_using_a_copy_leaves_it_as_those_know_it_who_have_it_open(tmp_path: Path) -> None:
    place = place_of(tmp_path, 2)
    before = place.path(stored_file(0)).stat()
    place.ahead(stored_files(2))
    place.path(stored_file(0))
    place.close()
    after = cache_of(tmp_path).path(stored_file(0).hashes.sha256).stat()
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)


@pytest.mark.parametrize("length", [0, SIZE - 1, SIZE + 1])
def test_a_copy_of_another_length_is_set_aside_at_once(tmp_path: Path, length: int) -> None:
    place = place_of(tmp_path, 1)
    place.path(stored_file(0)).write_bytes(b"x" * length)
    assert content(place, 0) == content_of(0)
    notes = [path.read_text() for path in (tmp_path / "cache/quarantine").glob("*.json")]
    assert [json.loads(note)["why"] for note in notes] == [f"{length} bytes long, expected {SIZE}"]


def test_a_damaged_copy_makes_room_for_its_own_successor(tmp_path: Path) -> None:
    place = place_of(tmp_path, 1, limit_files=1)
    flip(place.path(stored_file(0)), 1)
    assert damaged(place, 0)
    assert content(place, 0) == content_of(0)


def test_a_cache_in_which_nothing_stays_is_said_to_be_too_small(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, 1.5, CacheRules(spared_seconds=60, poll_seconds=0.02))
    place = CachedPlace(write_remote(tmp_path / "remote", 2), cache, QUICK)
    message = r"went 201 times right after it was fetched: the limit of 15000 bytes is too small"
    for number in range(402):
        content(place, number % 2)
    with pytest.raises(StorageError, match=message):
        content(place, 0)


def test_losses_with_a_pause_between_them_are_not_counted_as_one_row(tmp_path: Path) -> None:
    """In which others bring it back, as they do over days."""
    brief = CacheRules(spared_seconds=0.02, patience_seconds=1.0, poll_seconds=0.01)
    cache = cache_of(tmp_path, 1.5, brief)
    place = CachedPlace(write_remote(tmp_path / "remote", 1), cache, QUICK)
    for lost in range(230):
        place.path(stored_file(0)).unlink()
        content(place, 0)
        for _ in range(3 if lost % 100 else 60):
            assert content(place, 0) == content_of(0)
            time.sleep(0.001)
