"""What belongs to a data set and what does not, told by names."""

from pathlib import Path

import pytest

from pipeline.care import known_files
from pipeline.care.known_files import KnownFiles
from pipeline.stores.local import LocalStore


def folder(path: Path, *names: str) -> LocalStore:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    return LocalStore(path)


def test_what_is_known_and_what_is_for_people_gives_no_note(tmp_path: Path) -> None:
    known = KnownFiles()
    known.add(["a/b", "c"])
    assert known.notes(folder(tmp_path, "a/b", "c", "README.md", "config.toml")) == []


def test_the_first_strangers_are_named_and_all_are_counted(tmp_path: Path) -> None:
    known = KnownFiles()
    known.add(["a"])
    one = known.notes(folder(tmp_path, "a", "x/y"))
    assert one == ["1 files belong to no item of the data set (x/y); nothing reads them"]
    (more,) = known.notes(folder(tmp_path, "p", "q", "r", "s"))
    assert more.startswith("5 files belong to no item")
    assert ", ...)" in more


def test_beyond_what_is_remembered_strangers_are_counted_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_files, "_REMEMBERED", 2)
    known = KnownFiles()
    known.add(["a", "b", "c"])
    notes = known.notes(folder(tmp_path, "a", "b", "c", "x"))
    assert notes == ["1 files belong to no item of the data set; nothing reads them"]
