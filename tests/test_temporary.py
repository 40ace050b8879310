import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.stores.choice import local_folder
from pipeline.stores.objects import ObjectStore
from schemas.temporary import temporary_folder


def test_a_temporary_folder_goes_with_its_content() -> None:
    with temporary_folder() as name:
        (Path(name) / "x").write_bytes(b"x")
    assert not Path(name).exists()


def test_it_goes_although_its_deletion_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    deleted = []

    def interrupted_once(name: str, ignore_errors: bool = False) -> None:
        deleted.append(name)
        if len(deleted) == 1:
            raise KeyboardInterrupt
        remove(name, ignore_errors)

    remove = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", interrupted_once)
    with pytest.raises(KeyboardInterrupt), temporary_folder() as name:
        pass
    assert deleted == [name, name]
    assert not Path(name).exists()


def test_one_that_others_deleted_is_no_error() -> None:
    with temporary_folder() as name:
        shutil.rmtree(name)
    assert not Path(name).exists()


def test_copies_of_objects_go_although_their_deletion_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store, interrupts = ObjectStore("memory://temporary/d"), [1]
    store.replace("folder/x", b"content")

    def interrupted_once(*arguments: Any, **more: Any) -> None:
        if interrupts.pop():
            interrupts.append(0)
            raise KeyboardInterrupt
        interrupts.append(0)
        unlink(*arguments, **more)

    unlink = os.unlink
    for opened in (store.local("folder/x"), store.draft("folder"), local_folder(store, "folder")):
        interrupts[:] = [1]
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), opened:
            patch.setattr(os, "unlink", interrupted_once)
        assert list(tmp_path.iterdir()) == []
