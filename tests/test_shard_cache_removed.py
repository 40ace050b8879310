"""A cache that is removed while in use stays removed, and the same command makes it again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.shard_cache.eviction import Urgency
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.marker import MARKER_NAME
from pipeline.shard_cache.room import make_draft
from schemas.errors import StorageError, UserError
from tests.cached_files import cache_of, content, content_of, everything, place_of, stored_file

DIGITS = "ab" + "0" * 62
GONE = r"cache: is no cache any more \({}\); leave the folder alone .* run the same command"
NO_FOLDER, NO_MARKER = GONE.format("No such file or directory"), GONE.format("its marker is miss.*")
Action = Callable[[CacheFolder], object]


def names_in(folder: Path) -> set[str]:
    """Every file and folder below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_removed_cache_is_not_made_again_until_the_next_start(tmp_path: Path) -> None:
    place = place_of(tmp_path, 2)
    assert content(place, 0) == content_of(0)
    shutil.rmtree(place.cache.folder)
    for number in (0, 1):
        with pytest.raises(StorageError, match=NO_FOLDER):
            content(place, number)
    assert not place.cache.folder.exists()
    again = place_of(tmp_path, 2)
    assert [content(again, number) for number in (0, 1)] == [content_of(0), content_of(1)]


@pytest.mark.parametrize(
    "action",
    [lambda cache: cache.locked(DIGITS), lambda cache: cache.uses.touch(DIGITS)],
    ids=["lock", "use"],
)
def test_nothing_is_written_without_the_marker(tmp_path: Path, action: Action) -> None:
    cache = cache_of(tmp_path)
    (cache.folder / MARKER_NAME).unlink()
    before = names_in(cache.folder)
    with pytest.raises(StorageError, match=NO_MARKER):
        action(cache)
    assert names_in(cache.folder) == before


def test_what_arrives_after_the_cache_was_removed_is_dropped(tmp_path: Path) -> None:
    cache, hashes = cache_of(tmp_path), stored_file(0).hashes
    with make_draft(cache, hashes, Urgency.NEEDED) as draft:
        for path in (cache.folder / MARKER_NAME, cache.folder / "objects"):
            path.rename(tmp_path / path.name)
        with pytest.raises(StorageError, match=NO_MARKER):
            draft.commit()
    assert names_in(cache.folder) == {"locks", "drafts", "quarantine"}


@pytest.mark.parametrize("name", ["objects", "locks", "drafts", "quarantine"])
def test_folders_of_a_cache_that_has_its_marker_are_made_again(tmp_path: Path, name: str) -> None:
    place = place_of(tmp_path, 2)
    content(place, 0)
    shutil.rmtree(place.cache.folder / name)
    assert [content(place, number) for number in (0, 1)] == [content_of(0), content_of(1)]


def test_locks_and_empty_folders_that_were_left_behind_are_no_reason_to_refuse(
    tmp_path: Path,
) -> None:
    for name in ("objects/ab", "locks/ab", "drafts", "quarantine"):
        (tmp_path / "cache" / name).mkdir(parents=True)
    (tmp_path / "cache" / "locks" / "ab" / DIGITS).touch()
    place = place_of(tmp_path, 1)
    assert content(place, 0) == content_of(0)
    assert (place.cache.folder / MARKER_NAME).is_file()


@pytest.mark.parametrize(
    "name",
    [
        *(f"objects/ab/{DIGITS}", f"locks/ab/{DIGITS}", f"drafts/{DIGITS}.{DIGITS[:16]}"),
        *("objects", "locks/ab", "locks/README", "objects/ab/README", f"quarantine/{DIGITS}-0"),
    ],
)
def test_what_has_content_is_refused_without_a_marker_and_left_alone(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "cache" / name
    path.parent.mkdir(parents=True)
    path.write_text("dear to somebody")
    with pytest.raises(UserError, match=r"and is no cache .* of a cache that was removed, remove"):
        cache_of(tmp_path)
    assert everything(tmp_path / "cache") == {name: b"dear to somebody"}


@pytest.mark.parametrize(
    "name", ["objects", "objects/ab", f"locks/ab/{DIGITS}", "objects/own", "x"]
)
def test_links_and_other_names_are_something_else_even_when_empty(
    tmp_path: Path, name: str
) -> None:
    path, empty = tmp_path / "cache" / name, tmp_path / "empty"
    path.parent.mkdir(parents=True)
    empty.mkdir()
    if name in ("objects/own", "x"):
        path.mkdir()
    else:
        path.symlink_to(empty)
    with pytest.raises(UserError, match="and is no cache"):
        cache_of(tmp_path)
