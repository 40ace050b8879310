import shutil
from pathlib import Path

import pytest

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
