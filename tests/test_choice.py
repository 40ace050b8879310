"""Which store a place stands for."""

import sys
from pathlib import Path

import pytest

from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.objects import ObjectStore
from schemas.errors import DatasetError


def test_places_choose_the_store(tmp_path: Path) -> None:
    for place in (tmp_path, str(tmp_path), f"file://{tmp_path}", f"file://localhost{tmp_path}"):
        found = open_store(place)
        assert isinstance(found, LocalStore)
        assert found.folder == tmp_path
    assert isinstance(open_store("memory://a/b"), ObjectStore)
    assert open_store("memory://a/b/").where("c/d") == "memory://a/b/c/d"
    with pytest.raises(DatasetError, match="given as file:///folder"):
        open_store("file://host/folder")
    for empty in ("memory://", "s3:///"):
        with pytest.raises(DatasetError, match="names no bucket"):
            open_store(empty)
    with pytest.raises(DatasetError, match=r"odd://a/b: could not be opened .*check the URL"):
        open_store("odd://a/b")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setattr(sys.modules["fsspec.registry"], "_registry", {})
    monkeypatch.setattr(sys.modules["fsspec.registry"], "registry", {})
    with pytest.raises(DatasetError, match=r's3://b/d: .*; run `pip install "\.\[s3\]"` in a'):
        open_store("s3://b/d")
