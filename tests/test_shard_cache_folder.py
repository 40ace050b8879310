"""A cache is a folder with a marker, in which nothing is deleted that the cache did not make."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from pipeline.shard_cache.draft import Draft
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.marker import MARKER_NAME
from pipeline.shard_cache.room import check_room
from schemas.errors import StorageError, UserError
from tests.at_once import all_at_once
from tests.cached_files import SIZE, cache_of, everything, held, place_of, stored_files

FORK = multiprocessing.get_context("fork")


def test_a_missing_and_an_empty_folder_become_caches(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    for folder in (tmp_path / "a" / "b", tmp_path / "empty", tmp_path / "disk"):
        for _ in range(2):
            CacheFolder(folder, 1)
        marker = json.loads((folder / MARKER_NAME).read_text())
        assert marker["version"] == 1


def test_threads_that_make_a_cache_at_once_make_one(tmp_path: Path) -> None:
    assert len(all_at_once([lambda: CacheFolder(tmp_path / "c", 1)] * 8)) == 8


def test_a_marker_that_was_never_finished_is_no_reason_to_refuse(tmp_path: Path) -> None:
    (tmp_path / f"{MARKER_NAME}.tmp-host-1-abcdef01").write_text("{")
    CacheFolder(tmp_path, 1)
    assert (tmp_path / MARKER_NAME).is_file()


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds 'thesis\.tex' and is no cache .* own, which may"):
        CacheFolder(tmp_path, 1)
    assert everything(tmp_path) == {"thesis.tex": b"years of work"}
    with pytest.raises(UserError, match=r"thesis\.tex: cannot be used as a cache \(.*\); choose a"):
        CacheFolder(tmp_path / "thesis.tex", 1)
    with pytest.raises(UserError, match="limit of 0 bytes, expected more than 0"):
        CacheFolder(tmp_path / "new", 0)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', "\0", "[" * 100_000])
def test_a_marker_of_somebody_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER_NAME).write_text(text)
    with pytest.raises(UserError, match=r"this release uses 1; choose|is not what this project wr"):
        CacheFolder(tmp_path, 1)


def test_links_in_the_place_of_folders_are_refused(tmp_path: Path) -> None:
    cache_of(tmp_path)
    (tmp_path / "cache" / "drafts").rmdir()
    (tmp_path / "cache" / "drafts").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"drafts: a link, expected a folder; remove"):
        cache_of(tmp_path)


def foreign_files(cache: CacheFolder) -> list[Path]:
    """Files in every folder of a cache that nearly have names of its own."""
    digits = "ab" + "0" * 62
    names = [
        *("README", "objects/x", "objects/ab/x", f"objects/ac/{digits}", f"objects/{digits}"),
        *(f"objects/ab/{digits}.bak", f"objects/deep/ab/{digits}", f"objects/ab/{digits.upper()}"),
        *("locks/x", "drafts/x", f"drafts/{digits}", f"drafts/{digits}.0123", "drafts/a.tmp-b-1-2"),
        *("quarantine/x", f"quarantine/{digits}-x", f"quarantine/{digits}-0.json.gz", "ab/ab"),
    ]
    for name in names:
        (cache.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (cache.folder / name).write_text(f"dear to somebody: {name}")
    return [cache.folder / name for name in names]


def test_foreign_files_survive_everything(tmp_path: Path) -> None:
    place, cache = place_of(tmp_path, 12, limit_files=3), cache_of(tmp_path, 3)
    foreign = foreign_files(cache)
    kept = tmp_path / "kept"
    kept.write_text("x" * SIZE)
    link = cache.folder / "objects" / "ab" / ("ab" + "1" * 62)
    link.symlink_to(kept)
    before = {path: path.read_text() for path in foreign}
    for stored in stored_files(12):
        assert place.path(stored).stat().st_size == SIZE
    assert len(held(cache) - {path.name for path in foreign} - {link.name}) <= 3
    assert {path: path.read_text() for path in foreign} == before
    assert (link.is_symlink(), kept.stat().st_size) == (True, SIZE)


def test_what_the_dead_were_fetching_goes_and_what_the_living_fetch_stays(tmp_path: Path) -> None:
    cache, numbers = cache_of(tmp_path), [file.hashes.sha256 for file in stored_files(2)]

    def die() -> None:
        with cache.locked_all():
            Draft(cache.folder, numbers[0], SIZE)
        os._exit(0)

    child = FORK.Process(target=die)
    child.start()
    child.join(20)
    dead = list((cache.folder / "drafts").iterdir())
    assert [path.stat().st_size for path in dead] == [SIZE]
    with cache.locked_all() as contents:
        assert (contents.drafts, contents.bytes) == ([], 0)
        living = Draft(cache.folder, numbers[1], SIZE)
    with cache.locked_all() as contents:
        assert [one.sha256 for one in contents.drafts] == [numbers[1]]
        assert contents.bytes == SIZE
    living.write(b"x" * SIZE)
    assert living.commit() == cache.path(numbers[1])
    assert (held(cache), list((cache.folder / "drafts").iterdir())) == ({numbers[1]}, [])


def test_a_cache_that_was_taken_away_is_no_longer_written_to(tmp_path: Path) -> None:
    place, cache = place_of(tmp_path, 2), cache_of(tmp_path)
    place.path(stored_files(1)[0])
    (cache.folder / MARKER_NAME).rename(tmp_path / "marker")
    with pytest.raises(
        StorageError, match=r"is no cache any more \(its marker is missing\); leave"
    ):
        place.path(stored_files(2)[1])
    cache.folder.rename(tmp_path / "away")
    with pytest.raises(StorageError, match=r"no cache any more \(No such file"):
        check_room(cache, 1, "x")
