import errno
import os

import pytest

from pipeline.shard_reading.shard_places import LocalPlace, open_stored
from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import FileHashes, StoredFile
from tests.copying_place import CopyingPlace


def stored(name):
    return StoredFile(name, FileHashes(1, "ab" * 32, (0, 1), (7,)))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "d" / "shards").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "d"


@pytest.mark.parametrize("name", ["a.arrow", "shards/a.arrow", "shards/..a", "missing/a"])
def test_a_file_inside_is_found_whether_it_is_there_or_not(folder, name):
    place = LocalPlace(folder)
    assert [place.path(stored(name)) for _ in range(2)] == [folder / name] * 2


@pytest.mark.parametrize(
    "name",
    [
        *("../a", "shards/..", "shards/../../a", "..", "/etc/passwd", "shards/a\0b"),
        *("shards/link", "loop", "away/a", "away"),
    ],
)
def test_a_name_that_leads_outside_is_refused_however_often_it_is_asked_for(folder, name):
    (folder / "shards" / "link").symlink_to(folder.parent / "outside" / "a")
    (folder / "away").symlink_to(folder.parent / "outside")
    (folder / "loop").symlink_to(folder / "loop")
    place = LocalPlace(folder)
    for _ in range(2):
        place.path(stored("shards/good"))
        with pytest.raises(DatasetError, match="which lies outside the data set"):
            place.path(stored(name))


def test_a_name_that_cannot_be_looked_at_is_left_to_whoever_opens_it(folder, monkeypatch):
    place, long = LocalPlace(folder), f"shards/{'x' * 300}"
    assert [place.path(stored(long)) for _ in range(2)] == [folder / long] * 2

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "lstat", fail)
    assert place.path(stored("shards/a")) == folder / "shards" / "a"


def test_nobody_waits_for_a_local_file(folder):
    place = LocalPlace(folder)
    place.interrupt()
    assert place.path(stored("a")) == folder / "a"
    place.proceed()


def test_a_link_to_a_file_inside_is_followed(folder):
    (folder / "shards" / "link").symlink_to(folder / "real")
    assert LocalPlace(folder).path(stored("shards/link")) == folder / "shards" / "link"


def test_a_damaged_file_is_read_again_as_often_as_there_is_another_copy(folder, tmp_path):
    (folder / "a").write_bytes(b"bad")
    place, seen = CopyingPlace(folder, tmp_path / "copies", 3), []

    def read(path):
        seen.append(path.read_bytes())
        if len(seen) < 3:
            raise CorruptDataError(f"{path}: damaged")
        return len(seen)

    assert open_stored(place, stored("a"), read) == 3
    assert place.aside == ["a", "a"]


@pytest.mark.parametrize("is_local", [True, False])
def test_damage_without_another_copy_is_raised_as_it_was_found(folder, tmp_path, is_local):
    (folder / "a").write_bytes(b"bad")
    place = LocalPlace(folder) if is_local else CopyingPlace(folder, tmp_path / "copies", 3)

    def read(path):
        raise CorruptDataError(f"{path}: damaged")

    with pytest.raises(CorruptDataError, match="a: damaged"):
        open_stored(place, stored("a"), read)
