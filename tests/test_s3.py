"""Input behind s3:// URLs, from a real S3 server on loopback."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from jobs.build import BuildRequest, build_dataset
from pipeline.documents import read_documents
from pipeline.inputs import cut_ranges, find_inputs
from pipeline.readers import remote_calls
from pipeline.readers.reads import Read
from pipeline.stores.retries import Retries
from schemas.build_config import BuildConfig
from schemas.errors import InputError, StorageError
from tests.corpus import NoProgress, file_hashes, small_config
from tests.faults import FAULTS, Faults
from tests.object_server import ObjectServer, object_server
from tests.text_inputs import jsonl, parquet_bytes

OUTPUT = Path("nowhere")
SMALL = BuildConfig(item_bytes=4096)
ROWS = [{"id": f"d{number}", "text": f"Text number {number}. " * 20} for number in range(60)]
FILES = {
    "a.jsonl": jsonl(ROWS),
    "deep/b.jsonl.gz": gzip.compress(jsonl([{"text": row["text"]} for row in ROWS]), mtime=0),
    "deep/c.parquet": parquet_bytes(ROWS, row_group_size=5, compression="none"),
}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("/corpus")
        yield running


@pytest.fixture(scope="module")
def bucket(server: ObjectServer) -> str:
    """A bucket with `FILES`."""
    for name, content in FILES.items():
        server.put(f"/corpus/in/{name}", content)
    return "s3://corpus/in"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `FILES`."""
    root = tmp_path_factory.mktemp("local")
    for name, content in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    return root


def all_reads(files: dict[str, str | Path]) -> list[Read]:
    reads = []
    for name, file in files.items():
        _, ranges = cut_ranges(name, file, SMALL)
        for part in ranges:
            reads += read_documents(file, part, SMALL)
    return reads


def test_a_bucket_gives_the_documents_and_ids_of_a_folder(bucket: str, folder: Path) -> None:
    remote, local = find_inputs([bucket], OUTPUT), find_inputs([folder], OUTPUT)
    assert list(remote.files) == list(local.files) == sorted(FILES)
    assert remote.files["deep/c.parquet"] == f"{bucket}/deep/c.parquet"
    for name in FILES:
        described = cut_ranges(name, remote.files[name], SMALL)
        assert described == cut_ranges(name, local.files[name], SMALL)
        assert (len(described[1]) > 2) == (not name.endswith(".gz"))
    reads = all_reads(remote.files)
    assert reads == all_reads(local.files)
    assert len(reads) == 3 * len(ROWS)


def test_keys_and_globs_name_objects_as_they_name_files(bucket: str) -> None:
    assert list(find_inputs([f"{bucket}/a.jsonl"], OUTPUT).files) == ["a.jsonl"]
    assert list(find_inputs([f"{bucket}/*/*.gz"], OUTPUT).files) == ["deep/b.jsonl.gz"]
    assert list(find_inputs([f"{bucket}/**/*.parquet"], OUTPUT).files) == ["deep/c.parquet"]
    hidden = f"{bucket}/.hidden/d.jsonl"
    fsspec.filesystem("s3").pipe(hidden, FILES["a.jsonl"])
    assert list(find_inputs([bucket], OUTPUT).files) == sorted(FILES)
    assert list(find_inputs([f"{bucket}/**/*.jsonl"], OUTPUT).files) == ["a.jsonl"]
    fsspec.filesystem("s3").rm(hidden)
    with pytest.raises(InputError, match="no such file or folder"):
        find_inputs([f"{bucket}/missing"], OUTPUT)
    with pytest.raises(InputError, match=r"s3://absent/x\.jsonl: "):
        find_inputs(["s3://absent/x.jsonl"], OUTPUT)


def test_an_object_that_changed_since_planning_is_refused(bucket: str) -> None:
    system, url = fsspec.filesystem("s3"), f"{bucket}/changing.jsonl"
    system.pipe(url, b'{"text": "one"}\n')
    _, (part,) = cut_ranges("changing.jsonl", url, SMALL)
    system.pipe(url, b'{"text": "two"}\n')
    with pytest.raises(InputError, match="have changed since the build was planned"):
        list(read_documents(url, part, SMALL))
    system.rm(url)


def test_a_build_from_a_bucket_has_the_bytes_of_one_from_a_folder(
    tmp_path: Path, bucket: str, folder: Path, corpus: Path
) -> None:
    content = (corpus / "topics.jsonl").read_bytes()
    assert json.loads(content.splitlines()[0])
    fsspec.filesystem("s3").pipe("corpus/build/topics.jsonl", content)
    for name, place in (("remote", "s3://corpus/build"), ("local", corpus)):
        request = BuildRequest(small_config(), [place], tmp_path / name, "serial", 1)
        build_dataset(request, NoProgress())
    assert file_hashes(tmp_path / "remote") == file_hashes(tmp_path / "local")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("denied", "sleep")])
def test_a_failing_server_gives_the_documents_of_a_folder(
    server: ObjectServer, bucket: str, folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(remote_calls, "RETRIES", Retries(30, 20.0, 0.001, 0.01))
    local = find_inputs([folder], OUTPUT).files
    expected = all_reads(local)
    with server.failing(Faults({fault: 0.3}, seed=3)) as faults:
        remote = find_inputs([bucket], OUTPUT).files
        assert list(remote) == list(local)
        assert all_reads(remote) == expected
    assert faults.injected[fault] > 3


def test_a_server_that_keeps_failing_ends_in_one_message(
    server: ObjectServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_calls, "RETRIES", Retries(3, 5.0, 0.01, 0.05))
    message = (
        r"s3://corpus/in/a.jsonl: could not be read in 3 tries .* 10275 bytes instead of 20550"
    )
    with server.failing(Faults({"short": 1.0})), pytest.raises(StorageError, match=message):
        all_reads({"a.jsonl": f"{bucket}/a.jsonl"})
    before = server.requests
    with server.failing(Faults({"denied": 1.0})), pytest.raises(InputError, match="credentials"):
        find_inputs([f"{bucket}/a.jsonl"], OUTPUT)
    assert server.requests - before == 1
