"""A place behind a URL gives whole files or one clear error, whatever server and disk do."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.shard_cache.place import CachedPlace
from pipeline.stores.objects import ObjectStore
from schemas.errors import CorruptDataError, DatasetError, StorageError
from schemas.manifest import FileHashes, StoredFile
from tests.cached_files import (
    PATIENT,
    QUICK,
    SIZE,
    cache_of,
    content,
    content_of,
    held,
    place_of,
    stored_file,
)
from tests.faults import FAULTS, WRONG, Faults
from tests.object_server import ObjectServer, object_server

pytestmark = [
    pytest.mark.fault,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("/bucket")
        for number in range(6):
            running.put(f"/bucket/d/shards/{number}.arrow", content_of(number))
        yield running


def remote_place(folder: Path, limit_files: float = 100) -> CachedPlace:
    store = ObjectStore("s3://bucket/d", PATIENT, read_seconds=0.3)
    return CachedPlace(store, cache_of(folder, limit_files), QUICK)


def test_a_file_is_downloaded_once_and_then_found(server: ObjectServer, tmp_path: Path) -> None:
    place, before = remote_place(tmp_path), server.requests
    assert content(place, 0) == content_of(0)
    asked = server.requests - before
    assert 0 < asked <= 2
    for again in (place, remote_place(tmp_path)):
        assert content(again, 0) == content_of(0)
    assert server.requests - before == asked
    assert held(cache_of(tmp_path)) == {stored_file(0).hashes.sha256}


@pytest.mark.parametrize("fault", [*(name for name in FAULTS if name != "denied"), WRONG])
def test_a_failing_server_gives_whole_files(
    server: ObjectServer, tmp_path: Path, fault: str
) -> None:
    place = remote_place(tmp_path)
    with server.failing(Faults({fault: 0.3}, seed=3, sleep_seconds=0.4)) as faults:
        for number in range(6):
            assert content(place, number) == content_of(number)
    assert faults.injected[fault] > 0
    assert list((tmp_path / "cache" / "drafts").iterdir()) == []


def test_a_download_that_is_damaged_each_time_is_named_and_leaves_nothing(
    server: ObjectServer, tmp_path: Path
) -> None:
    place, hashes = remote_place(tmp_path), stored_file(0).hashes
    with (
        server.failing(Faults({WRONG: 1.0})) as faults,
        pytest.raises(
            CorruptDataError,
            match=rf"^s3://bucket/d/shards/0\.arrow: region 2 of 5 \(bytes 4000\.\.6000\) is "
            rf"damaged: expected xxh3 {hashes.xxh3[2]:016x}, found [0-9a-f]{{16}} \(in each of 4 "
            r"downloads\); run `blankstream repair`",
        ) as raised,
    ):
        place.path(stored_file(0))
    assert faults.injected[WRONG] == 4
    assert not place.set_aside(stored_file(0), raised.value)
    assert held(cache_of(tmp_path)) == set()
    assert list((tmp_path / "cache" / "drafts").iterdir()) == []
    assert content(place, 0) == content_of(0)


def test_a_file_that_is_missing_or_of_another_length_is_named(
    server: ObjectServer, tmp_path: Path
) -> None:
    place = remote_place(tmp_path)
    with pytest.raises(CorruptDataError, match=rf"shards/9\.arrow: missing, expected {SIZE} bytes"):
        content(place, 9)
    for length in (SIZE - 1, SIZE + 1, 0, 3 * SIZE):
        name = f"{uuid.uuid4().hex}.arrow"
        server.put(f"/bucket/d/{name}", (content_of(0) * 3)[:length])
        what = f"longer than the {SIZE}" if length > SIZE else f"{length} bytes long, expected"
        with pytest.raises(CorruptDataError, match=rf"d/{name}: {what}"):
            place.path(StoredFile(name, stored_file(0).hashes))
    assert held(cache_of(tmp_path)) == set()


def test_a_server_that_keeps_failing_or_refuses_is_named(
    server: ObjectServer, tmp_path: Path
) -> None:
    place = remote_place(tmp_path)
    with server.failing(Faults({"denied": 1.0})), pytest.raises(DatasetError, match="credentials"):
        content(place, 0)
    with (
        server.failing(Faults({"error": 1.0})),
        pytest.raises(StorageError, match=r"d/shards/0\.arrow: could not be read in 40 tries"),
    ):
        content(place, 0)


def test_names_and_hashes_of_strangers_are_refused(tmp_path: Path) -> None:
    place, good = place_of(tmp_path, 1), stored_file(0).hashes
    with pytest.raises(DatasetError, match="must not lead out of the data set"):
        place.path(StoredFile("../x", good))
    odd = [
        FileHashes(SIZE, "../../etc/passwd", good.offsets, good.xxh3),
        FileHashes(SIZE, good.sha256, good.offsets[:-1], good.xxh3),
        FileHashes(SIZE - 1, good.sha256, good.offsets, good.xxh3),
        FileHashes(SIZE, good.sha256, (), ()),
    ]
    for hashes in odd:
        with pytest.raises(DatasetError, match=r"0\.arrow: cannot be fetched, since its hashes"):
            place.path(StoredFile("shards/0.arrow", hashes))
        with pytest.raises(DatasetError, match="hashes are none"):
            place.set_aside(StoredFile("shards/0.arrow", hashes), CorruptDataError("x"))
