"""What a store on a disk does beyond the laws of all stores."""

import os
import subprocess
import sys
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pipeline.stores.local import LocalStore
from pipeline.stores.objects import ObjectStore
from schemas.storage import TEMPORARY_MARK
from tests.at_once import all_at_once


def test_what_a_killed_writer_left_is_no_file_and_can_be_deleted(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from pipeline.stores.local import LocalStore\n"
        "with LocalStore(pathlib.Path(sys.argv[1])).draft('a') as d: os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    store = LocalStore(tmp_path)
    assert store.files("a") == {}
    assert [TEMPORARY_MARK in name for name, _ in store.every_file()] == [True]
    with store.draft("a") as draft:
        assert store.remove_leftovers() == 1
        assert draft.path.exists()
    assert (list(store.every_file()), store.remove_leftovers()) == ([], 0)


def test_without_hard_links_creators_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", fail)
    store = LocalStore(tmp_path)
    told = all_at_once([lambda: store.create("a/b", b"x")] * 20)
    assert sorted(map(bool, told)) == [False] * 19 + [True]
    assert (list(store.every_file()), store.read("a/b")) == ([("a/b", 1)], b"x")


def held_below(path: Path) -> list[str]:
    """What this process has open at `path` or below it, deleted or not."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # listdir's own
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return [link for link in links if link.startswith(str(path))]


@pytest.mark.parametrize("is_local", [True, False])
def test_two_hundred_shards_of_an_item_hold_nothing_once_committed(
    tmp_path: Path, is_local: bool
) -> None:
    """Neither a descriptor nor, where they are objects, room for temporary files."""
    store = LocalStore(tmp_path) if is_local else ObjectStore(f"memory://{uuid.uuid4().hex}")
    store.replace("first", b"")  # Loads what is loaded once.
    with ExitStack() as stack:
        for number in range(200):
            draft = stack.enter_context(store.draft("shards"))
            draft.path.write_bytes(b"x")
            draft.commit(f"shards/{number:03d}")
            assert not held_below(tmp_path) + held_below(draft.path)
            assert not draft.path.exists()
    assert len(store.files("shards")) == len(list(store.every_file())) - 1 == 200


def test_a_draft_that_somebody_deleted_cannot_be_committed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with store.draft("a") as draft:
        draft.path.unlink()
        with pytest.raises(FileNotFoundError, match=TEMPORARY_MARK):
            draft.commit("a/b")
    assert list(store.every_file()) == []
