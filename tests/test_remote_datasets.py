"""A URL leads to a manifest and a place of files, or to the message that a folder would give."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.dataset import open_dataset
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_reading.shard_places import LocalPlace
from schemas.errors import DatasetError
from tests.cached_files import cache_of
from tests.datasets import write_dataset
from tests.object_server import ObjectServer, object_server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("/bucket")
        yield running


@pytest.fixture(scope="module")
def dataset(server: ObjectServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in a folder, and in the bucket under `d`."""
    folder = write_dataset(tmp_path_factory.mktemp("data") / "d")
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            server.put(f"/bucket/d/{name}", path.read_bytes())
    return folder


def test_the_manifest_and_the_table_come_through_the_place(dataset: Path, tmp_path: Path) -> None:
    opened = open_dataset("s3://bucket/d", cache_of(tmp_path))
    place, table = opened.place, opened.manifest.table
    content = (dataset / "manifest.json").read_bytes()
    assert opened.digest == hashlib.sha256(content).hexdigest()
    found = place.path(table)
    assert found.is_relative_to(tmp_path / "cache")
    assert found.read_bytes() == (dataset / table.path).read_bytes()
    assert isinstance(place, CachedPlace)


def test_a_file_url_is_the_folder_itself(dataset: Path, tmp_path: Path) -> None:
    place = open_dataset(f"file://{dataset}").place
    assert isinstance(place, LocalPlace)
    assert place.folder == dataset


@pytest.mark.parametrize("url", ["s3://bucket/none", "s3://absent/none"])
def test_what_is_no_data_set_is_said_to_be_none(
    server: ObjectServer, tmp_path: Path, url: str
) -> None:
    with pytest.raises(DatasetError, match=r"/none: neither manifest.json .* `blankstream bu"):
        open_dataset(url, cache_of(tmp_path))


def test_an_unfinished_build_is_told_from_a_missing_data_set(
    server: ObjectServer, tmp_path: Path
) -> None:
    server.put("/bucket/begun/plan.json", b"{}")
    message = r"^s3://bucket/begun: no manifest\.json: the build has not finished; run the same"
    with pytest.raises(DatasetError, match=message):
        open_dataset("s3://bucket/begun", cache_of(tmp_path))


def test_a_url_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nonsense://x"):
        open_dataset("nonsense://x", cache_of(tmp_path))
    with pytest.raises(DatasetError, match=r"s3://: names no bucket"):
        open_dataset("s3://", cache_of(tmp_path))
