"""A link, or a folder that may not be read, in the place of something of the cache."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.shard_cache.room import check_room
from schemas.errors import StorageError
from tests.cached_files import content, content_of, place_of, stored_file


@pytest.mark.parametrize("target", ["nothing", stored_file(0).hashes.sha256, "thesis.tex", "."])
def test_a_link_in_the_place_of_a_copy_is_set_aside_and_not_followed(
    tmp_path: Path, target: str
) -> None:
    place, thesis = place_of(tmp_path, 1), tmp_path / "thesis.tex"
    thesis.write_text("years of work")
    os.utime(thesis, (1, 1))
    copy = place.path(stored_file(0))
    copy.unlink()
    copy.symlink_to(thesis if target == thesis.name else target)
    assert content(place, 0) == content_of(0)
    assert not copy.is_symlink()
    assert (thesis.read_text(), thesis.stat().st_mtime) == ("years of work", 1)


def test_links_set_aside_take_no_name_twice(tmp_path: Path) -> None:
    place = place_of(tmp_path, 1)
    for _ in range(2):
        copy = place.path(stored_file(0))
        copy.unlink()
        copy.symlink_to("nothing")
    assert content(place, 0) == content_of(0)
    for note in (place.cache.folder / "quarantine").glob("*.json"):
        note.unlink()
    copy.unlink()
    copy.symlink_to("nothing")
    assert content(place, 0) == content_of(0)
    links = [path for path in (place.cache.folder / "quarantine").iterdir() if path.is_symlink()]
    assert len(links) == 3


def test_folders_that_may_not_be_read_are_an_error_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, scan = place_of(tmp_path, 1), os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "drafts":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    message = r"cache/drafts: the cache cannot be used \(Permission denied\); see to it and to its"
    with pytest.raises(StorageError, match=message):
        check_room(place.cache, 1, "x")
    with pytest.raises(StorageError, match=message):
        content(place, 0)
