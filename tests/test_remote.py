"""Inputs behind URLs give what local files give, and failures name their cause."""

import errno
import functools
import gzip
import http.server
import io
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pipeline.documents import read_documents
from pipeline.inputs import cut_ranges, find_inputs
from pipeline.readers import remote_calls
from pipeline.readers.remote import opened
from pipeline.stores.retries import Retries
from pipeline.stores.systems import opened_system
from schemas.build_config import BuildConfig
from schemas.errors import InputError, StorageError
from schemas.sealed import seal
from tests.text_inputs import jsonl, parquet_bytes, put, read_ranges

OUTPUT = Path("nowhere")
SMALL = BuildConfig(item_bytes=1024)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are tried again, but not for a minute."""
    monkeypatch.setattr(remote_calls, "RETRIES", Retries(4, 5.0, 0.01, 0.05))


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


def test_a_url_is_a_file_a_folder_or_a_glob(memory: fsspec.AbstractFileSystem) -> None:
    for name in ("in/a.jsonl", "in/b/c.jsonl.gz", "in/b/d.parquet", "in/e.pdf"):
        memory.pipe("/" + name, b'{"text": "x"}\n')
    inputs = find_inputs(["memory://in"], OUTPUT)
    assert inputs.files == {
        "a.jsonl": "memory:///in/a.jsonl",
        "b/c.jsonl.gz": "memory:///in/b/c.jsonl.gz",
        "b/d.parquet": "memory:///in/b/d.parquet",
    }
    assert inputs.skipped == (("e.pdf", "of no known format"),)
    assert list(find_inputs(["memory://in/a.jsonl"], OUTPUT).files) == ["a.jsonl"]
    assert list(find_inputs(["memory://in/**/*.gz"], OUTPUT).files) == ["b/c.jsonl.gz"]
    assert list(find_inputs(["memory://in/b/*"], OUTPUT).files) == ["c.jsonl.gz", "d.parquet"]
    with pytest.raises(InputError, match=r"e\.pdf: unknown format"):
        find_inputs(["memory://in/e.pdf"], OUTPUT)
    with pytest.raises(InputError, match="no such file or folder"):
        find_inputs(["memory://in/missing"], OUTPUT)


def test_hidden_names_and_data_sets_behind_a_url_are_left_out(
    memory: fsspec.AbstractFileSystem,
) -> None:
    for name in ("a.jsonl", ".b.jsonl", ".c/d.jsonl", "e/.f/g.jsonl", "set/quarantine/0.jsonl"):
        memory.pipe("/in/" + name, b'{"text": "x"}\n')
    memory.pipe("/in/set/plan.json", b"{}")
    memory.pipe("/in/set/manifest.json", seal({"row_format": {}}).encode())
    for place in ("memory://in", "memory://in/**/*.jsonl", "memory://in/*"):
        inputs = find_inputs([place], OUTPUT)
        assert list(inputs.files) == ["a.jsonl"], place
        assert inputs.skipped == (("set", "a data set"),)
    assert list(find_inputs(["memory://in/.b.jsonl"], OUTPUT).files) == [".b.jsonl"]
    with pytest.raises(InputError, match=r"1 a data set \(memory://in/set\)"):
        find_inputs(["memory://in/set"], OUTPUT)


def test_a_server_out_of_reach_is_no_missing_file(web: str) -> None:
    with pytest.raises(InputError, match=r"absent\.jsonl: no such file or folder"):
        find_inputs([f"{web}/absent.jsonl"], OUTPUT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x.jsonl"
        for use in (lambda: find_inputs([url], OUTPUT), lambda: cut_ranges("x", url, SMALL)):
            with pytest.raises(StorageError, match=r"in 4 tries .* ClientConnectorError: .* is up"):
                use()


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet", "x.jsonl.gz"])
def test_a_url_gives_what_a_local_file_gives(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, name: str
) -> None:
    rows = [{"text": f"{number} {os.urandom(60).hex()}"} for number in range(60)]
    content = parquet_bytes(rows) if name == "x.parquet" else jsonl(rows)
    content = gzip.compress(content) if name.endswith(".gz") else content
    (tmp_path / name).write_bytes(content)
    memory.pipe(f"/in/{name}", content)
    url = f"memory://in/{name}"
    assert cut_ranges(name, url, SMALL) == cut_ranges(name, tmp_path / name, SMALL)
    ranges, local = read_ranges(tmp_path / name, SMALL)
    assert len(ranges) == 1 if name.endswith(".gz") else len(ranges) > 3
    assert [read for part in ranges for read in read_documents(url, part, SMALL)] == local
    memory.pipe(f"/in/{name}", content[:-40] + bytes(40))
    with pytest.raises(InputError, match="have changed since the build was planned"):
        list(read_documents(url, ranges[-1], SMALL))
    memory.rm(f"/in/{name}")
    with pytest.raises(InputError, match=r"cannot be read \(FileNotFoundError"):
        list(read_documents(url, ranges[0], SMALL))


def test_a_fetched_range_leaves_no_file_behind(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    memory.pipe("/in/x.jsonl", jsonl([{"text": "a"}] * 3))
    _, (part,) = cut_ranges("x.jsonl", "memory://in/x.jsonl", SMALL)
    reads = read_documents("memory://in/x.jsonl", part, SMALL)
    next(reads)
    assert len(list(tmp_path.iterdir())) == 1
    reads.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_what_the_callers_block_raises_is_its_own(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    put(tmp_path, "x.jsonl")
    memory.pipe("/in/x.jsonl", b"{}")
    for place in (tmp_path / "x.jsonl", "memory://in/x.jsonl"):
        for error in (ZeroDivisionError("mine"), OSError(errno.EPIPE, "mine")):
            with pytest.raises(type(error), match="mine"), opened(place):
                raise error


def test_what_a_file_system_raises_while_it_is_read_names_the_url(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the server went away")

    memory.pipe("/in/x.jsonl", b"{}")
    with opened("memory://in/x.jsonl") as (stream, size):
        assert (size, stream.read(9), stream.read(9), stream.seek(0)) == (2, b"{}", b"", 0)
        memory.pipe("/in/x.jsonl", b"[]" * 2**20)
    with opened("memory://in/x.jsonl") as (stream, size):
        assert stream.read(3) == b"[]["
        monkeypatch.setattr(type(memory), "cat_file", fail)
        assert stream.read(2) == b"]["
        stream.seek(size - 1)
        with pytest.raises(InputError, match=r"x\.jsonl: cannot be read .*the server went away"):
            stream.read(1)


class _Full(io.BytesIO):
    """A file on a disk that is full."""

    def write(self, _: object, /) -> int:
        """Fail as `write(2)` does."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


NO_ROOM = (
    r"{}: cannot hold (the )?{} bytes of {} \(No space left on device\); free space, or set TMPDIR"
)


def test_a_full_temporary_disk_is_no_fault_of_the_network(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, url = jsonl([{"text": "a"}] * 3), "memory://in/x.jsonl"
    memory.pipe("/in/x.jsonl", content)
    _, (part,) = cut_ranges("x.jsonl", url, SMALL)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: _Full())
        with pytest.raises(InputError, match=NO_ROOM.format(tmp_path, len(content), url)):
            list(read_documents(url, part, SMALL))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"absent: cannot hold a copy of .*; free space, or set"):
        list(read_documents(url, part, SMALL))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Offers whole files and no parts of them."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_server_without_parts_of_files_is_read_whole(tmp_path: Path, web: str) -> None:
    rows = [{"text": f"text {number}"} for number in range(100)]
    for name, content in (("x.jsonl", jsonl(rows)), ("x.parquet", parquet_bytes(rows))):
        (tmp_path / name).write_bytes(content)
        inputs = find_inputs([f"{web}/{name}?download=true"], OUTPUT)
        assert list(inputs.files) == [name]
        url = inputs.files[name]
        assert cut_ranges(name, url, SMALL) == cut_ranges(name, tmp_path / name, SMALL)
        ranges, local = read_ranges(tmp_path / name, SMALL)
        assert [read for part in ranges for read in read_documents(url, part, SMALL)] == local
    with pytest.raises(InputError, match=r"absent\.jsonl: "):
        find_inputs([f"{web}/absent.jsonl"], OUTPUT)


def test_a_disk_that_a_whole_file_fills_is_named(
    tmp_path: Path, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    put(tmp_path, "x.jsonl")
    url, temporary = f"{web}/x.jsonl", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(opened_system(url)[0], "get_file", fail)
    with pytest.raises(InputError, match=NO_ROOM.format(temporary, 14, url)):
        cut_ranges("x.jsonl", url, SMALL)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("scheme", "remedy"),
    [
        ("s3", r'run `pip install "\.\[s3\]"` in a checkout of blankstream$'),
        ("gs", "pip install gcsfs"),
        ("odd", "odd"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, scheme: str, remedy: str
) -> None:
    for module in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(sys.modules["fsspec.registry"], "_registry", {})
    monkeypatch.setattr(sys.modules["fsspec.registry"], "registry", {})
    with pytest.raises(InputError, match=remedy):
        find_inputs([f"{scheme}://bucket/x.jsonl"], OUTPUT)
