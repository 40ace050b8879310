"""An overlay: changes are seen through it, and never reach the data set below."""

from pathlib import Path

import pytest

from pipeline.stores.local import LocalStore
from pipeline.stores.overlay import OverlayStore
from tests.corpus import file_hashes


@pytest.fixture
def base(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "base")
    store.replace("a/one", b"1")
    store.replace("a/two", b"22")
    return store


@pytest.fixture
def overlay(tmp_path: Path, base: LocalStore) -> OverlayStore:
    return OverlayStore(base, LocalStore(tmp_path / "changes"))


def test_what_is_below_is_read_and_listed(overlay: OverlayStore, base: LocalStore) -> None:
    assert overlay.read("a/two") == b"22"
    assert overlay.files("a") == {"a/one": 1, "a/two": 2}
    assert overlay.size("a/three") is None
    assert (overlay.place, overlay.where("a/x")) == (base.place, base.where("a/x"))
    with overlay.local("a/one") as path:
        assert path == base.folder / "a" / "one"
    with pytest.raises(FileNotFoundError):
        overlay.read("a/three")


def test_changes_cover_what_is_below_and_leave_it_as_it_was(
    overlay: OverlayStore, base: LocalStore
) -> None:
    before = file_hashes(base.folder)
    overlay.replace("a/one", b"changed")
    assert overlay.create("b/new", b"new")
    with overlay.draft("a") as draft:
        draft.path.write_bytes(b"333")
        draft.commit("a/three")
    assert overlay.read("a/one") == b"changed"
    assert overlay.files("a") == {"a/one": 7, "a/three": 3, "a/two": 2}
    assert dict(overlay.every_file()) == {"a/one": 7, "a/two": 2, "a/three": 3, "b/new": 3}
    with overlay.local("a/three") as path:
        assert path.read_bytes() == b"333"
    assert file_hashes(base.folder) == before


def test_create_makes_nothing_over_a_file_in_either(overlay: OverlayStore) -> None:
    assert not overlay.create("a/one", b"other")
    assert overlay.read("a/one") == b"1"
    assert overlay.create("c", b"first")
    assert not overlay.create("c", b"second")
    assert overlay.read("c") == b"first"


def test_only_what_was_written_here_can_be_removed(overlay: OverlayStore) -> None:
    overlay.replace("c", b"1")
    overlay.remove("c")
    overlay.remove("c")
    assert overlay.size("c") is None
    with pytest.raises(AssertionError, match="a file of the data set itself"):
        overlay.remove("a/one")
    assert overlay.remove_leftovers() == 0
