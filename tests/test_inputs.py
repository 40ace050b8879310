"""Inputs: found and named, cut at document boundaries by bytes, identified by content."""

import codecs
import errno
import functools
import gzip
import http.server
import io
import itertools
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents import read_documents
from pipeline.inputs import check_range, cut_ranges, find_inputs
from pipeline.readers.reads import Document, Read
from pipeline.readers.remote import opened
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import SourceRange
from tests.text_inputs import arrow, arrow_stream, jsonl, parquet_bytes

OUTPUT = Path("nowhere")
SMALL = BuildConfig(item_bytes=1024)


def read_ranges(file: Path, config: BuildConfig) -> tuple[list[SourceRange], list[Read]]:
    """The ranges of a file, and what they give one after another."""
    _, ranges = cut_ranges(file.name, file, config)
    return ranges, [read for part in ranges for read in read_documents(file, part, config)]


def put(folder: Path, names: str, content: bytes = b'{"text": "x"}\n') -> None:
    for name in names.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@given(
    st.lists(st.integers(0, 300), max_size=60),
    st.integers(1024, 4096),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_ranges_cover_the_file_and_cut_no_document(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    item_bytes: int,
    ends: bool,
    end: str,
) -> None:
    file = tmp_path_factory.mktemp("cut") / "x.jsonl"
    lines = [json.dumps({"id": n, "text": "x" * size}) for n, size in enumerate(sizes)]
    file.write_bytes((end.join(lines) + (end if ends else "")).encode())
    config = BuildConfig(item_bytes=item_bytes)
    described, _ = cut_ranges("x.jsonl", file, config)
    ranges, found = read_ranges(file, config)
    edges = [0] + [part.stop for part in ranges]
    assert [part.start for part in ranges] == edges[:-1]
    assert edges[-1] == described.bytes == file.stat().st_size
    assert all(part.stop - part.start < item_bytes + 400 for part in ranges)
    if sizes:
        ids = [one.id for one in found if isinstance(one, Document)]
        assert ids == [str(number) for number in range(len(sizes))]


@given(
    st.lists(
        st.sampled_from(["a word", "\u2028x\x85y", "", " ", "more\0", "é" * 400]), max_size=60
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["line", "paragraph", "file"]),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "utf-32-be"]),
)
def test_cutting_changes_no_text(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, unit: str, name: str
) -> None:
    file = tmp_path_factory.mktemp("text") / "x.txt"
    mark = codecs.BOM_UTF32_BE if name == "utf-32-be" else b""
    file.write_bytes(mark + end.join(lines).encode(name))
    _, parts = read_ranges(file, BuildConfig(item_bytes=1024, text_unit=unit))
    whole = BuildConfig(item_bytes=2**30, text_unit=unit)
    (only,), together = read_ranges(file, whole)
    assert parts == together
    assert only.start == 0
    places = [(one.start, one.stop) for one in together]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places))


def test_only_plain_lines_paragraphs_and_tables_are_cut(tmp_path: Path) -> None:
    content = jsonl([{"text": "some words " * 20}] * 40)
    text = BuildConfig(item_bytes=1024, text_unit="line")
    for name, data, config, is_cut in (
        ("a.jsonl", content, SMALL, True),
        ("b.json", content, SMALL, False),
        ("c.jsonl.gz", gzip.compress(os.urandom(4000)), SMALL, False),
        ("named.jsonl", gzip.compress(os.urandom(4000)), SMALL, False),
        ("d.txt", content, SMALL, False),
        ("e.txt", content, text, True),
        ("f.txt", content.decode().encode("utf-16"), text, False),
        ("g.jsonl", content.decode().encode("utf-16-le"), BuildConfig(encoding="utf-16"), False),
        ("h.arrow", arrow([{"text": "words " * 50}] * 40), SMALL, False),
    ):
        (tmp_path / name).write_bytes(data)
        assert (len(cut_ranges(name, tmp_path / name, config)[1]) > 1) == is_cut, name


def test_a_parquet_is_cut_between_row_groups(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    rows = [{"text": f"{number} {os.urandom(100).hex()}"} for number in range(100)]
    file.write_bytes(parquet_bytes(rows, row_group_size=7))
    ranges, found = read_ranges(file, BuildConfig(item_bytes=4096))
    assert len(ranges) > 3
    assert all(part.stop - part.start < 8192 for part in ranges[:-1])
    assert [one.id for one in found] == [f"x.parquet#{number}" for number in range(100)]
    assert [one.text for one in found if isinstance(one, Document)] == [r["text"] for r in rows]


def test_an_empty_file_is_one_empty_range(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(b"")
    described, ranges = cut_ranges("b.jsonl", tmp_path / "b.jsonl", SMALL)
    assert [(part.start, part.stop) for part in ranges] == [(0, 0)]
    assert described.bytes == 0


def test_inputs_are_named_by_their_path_below_the_folder_given(tmp_path: Path) -> None:
    put(tmp_path, "b/two.jsonl a.txt .hidden/three.txt image.png d/e.tar.gz")
    inputs = find_inputs([tmp_path], OUTPUT)
    assert list(inputs.files) == ["a.txt", "b/two.jsonl", "d/e.tar.gz"]
    assert inputs.skipped == ("image.png",)
    assert list(find_inputs([tmp_path / "a.txt"], OUTPUT).files) == ["a.txt"]
    assert list(find_inputs([f"file://{tmp_path}/a.txt"], OUTPUT).files) == ["a.txt"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jsonl", ["a.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "b/c.jsonl", "b/d/e.jsonl"]),
        ("b/*", ["c.jsonl", "d/e.jsonl", "f.txt"]),
        ("[ab].jsonl", ["a.jsonl"]),
        ("?/*/e.jsonl", ["b/d/e.jsonl"]),
    ],
)
def test_a_glob_names_inputs_from_its_part_without_wildcards(
    tmp_path: Path, pattern: str, names: list[str]
) -> None:
    put(tmp_path, "a.jsonl b/c.jsonl b/d/e.jsonl b/f.txt")
    assert list(find_inputs([f"{tmp_path}/{pattern}"], OUTPUT).files) == names


def test_a_file_whose_name_has_wildcards_is_itself(tmp_path: Path) -> None:
    put(tmp_path, "a[1].jsonl a1.jsonl")
    assert list(find_inputs([tmp_path / "a[1].jsonl"], OUTPUT).files) == ["a[1].jsonl"]


def test_inputs_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder; check --input"):
        find_inputs([tmp_path / "missing"], OUTPUT)
    with pytest.raises(InputError, match="no input files in"):
        find_inputs([tmp_path], OUTPUT)
    with pytest.raises(InputError, match="no input files in"):
        find_inputs([tmp_path / "*.jsonl"], OUTPUT)
    put(tmp_path, "a/x.txt b/x.txt c.pdf")
    with pytest.raises(InputError, match=r"would both be called 'x\.txt'"):
        find_inputs([tmp_path / "a", tmp_path / "b"], OUTPUT)
    with pytest.raises(InputError, match=r"c\.pdf: unknown format"):
        find_inputs([tmp_path / "c.pdf"], OUTPUT)
    put(tmp_path, "e/a\u202eb.txt")
    with pytest.raises(InputError, match="must be printable UTF-8 text"):
        find_inputs([tmp_path / "e"], OUTPUT)
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="neither a regular file nor a folder"):
        find_inputs([tmp_path / "pipe.txt"], OUTPUT)


def test_the_output_is_no_input_of_its_own_build(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl d/quarantine/00000.jsonl")
    assert list(find_inputs([tmp_path], tmp_path / "d").files) == ["a.jsonl"]


def save_to_disk(folder: Path, num_files: int) -> None:
    """A folder as `Dataset.save_to_disk` writes it."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{num_files:05d}.arrow" for number in range(num_files)]
    for number, name in enumerate(names):
        rows = [{"text": f"{number}.{row}"} for row in range(5)]
        (folder / name).write_bytes(arrow_stream(rows))
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "1"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    (folder / "cache-123.arrow").write_bytes(arrow([{"text": "stale"}]))


def test_a_saved_data_set_is_its_data_files(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "set" / "train", 3)
    save_to_disk(tmp_path / "set" / "test", 1)
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    inputs = find_inputs([tmp_path / "set"], OUTPUT)
    assert list(inputs.files) == [
        "test/data-00000-of-00001.arrow",
        "train/data-00000-of-00003.arrow",
        "train/data-00001-of-00003.arrow",
        "train/data-00002-of-00003.arrow",
    ]
    assert inputs.skipped == ("test/cache-123.arrow", "train/cache-123.arrow")
    file = tmp_path / "set" / "train" / "data-00001-of-00003.arrow"
    _, found = read_ranges(file, SMALL)
    assert [one.text for one in found if isinstance(one, Document)] == [f"1.{n}" for n in range(5)]
    file.unlink()
    with pytest.raises(InputError, match=r"names train/data-00001-of-0.*, which is missing"):
        find_inputs([tmp_path / "set"], OUTPUT)
    (tmp_path / "set" / "train" / "state.json").write_text("[]")
    with pytest.raises(InputError, match="not the state of a saved data set"):
        find_inputs([tmp_path / "set"], OUTPUT)


def test_a_range_that_changed_since_planning_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"text": "a"}\n')
    _, (part,) = cut_ranges("x.jsonl", file, SMALL)
    check_range(file, part)
    file.write_text('{"text": "b"}\n')
    with pytest.raises(InputError, match="have changed since the build was planned"):
        check_range(file, part)
    file.unlink()
    with pytest.raises(InputError, match="restore it and run the build again"):
        check_range(file, part)


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
def test_a_range_is_also_what_decides_how_it_is_read(tmp_path: Path, name: str) -> None:
    file, rows = tmp_path / name, [{"text": os.urandom(50).hex()} for _ in range(80)]
    file.write_bytes(jsonl(rows) if name == "x.jsonl" else parquet_bytes(rows))
    _, ranges = cut_ranges(name, file, SMALL)
    part, content = ranges[len(ranges) // 2], bytearray(file.read_bytes())
    check_range(file, part)
    place = 3 if name == "x.jsonl" else len(content) - 20
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="have changed"):
        check_range(file, part)


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
    assert inputs.skipped == ("e.pdf",)
    assert list(find_inputs(["memory://in/a.jsonl"], OUTPUT).files) == ["a.jsonl"]
    assert list(find_inputs(["memory://in/**/*.gz"], OUTPUT).files) == ["b/c.jsonl.gz"]
    assert list(find_inputs(["memory://in/b/*"], OUTPUT).files) == ["c.jsonl.gz", "d.parquet"]
    with pytest.raises(InputError, match=r"e\.pdf: unknown format"):
        find_inputs(["memory://in/e.pdf"], OUTPUT)
    with pytest.raises(InputError, match="no such file or folder"):
        find_inputs(["memory://in/missing"], OUTPUT)


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
    def fail(*_: object) -> None:
        raise RuntimeError("the server went away")

    memory.pipe("/in/x.jsonl", b"{}")
    with opened("memory://in/x.jsonl") as (stream, size):
        assert (size, stream.read(9)) == (2, b"{}")
        monkeypatch.setattr(type(memory.store["/in/x.jsonl"]), "seek", fail)
        with pytest.raises(InputError, match=r"x\.jsonl: cannot be read .*the server went away"):
            stream.seek(0)


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
    monkeypatch.setattr(fsspec.filesystem("http"), "get_file", fail)
    with pytest.raises(InputError, match=NO_ROOM.format(temporary, 14, url)):
        cut_ranges("x.jsonl", url, SMALL)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("scheme", "remedy"),
    [("s3", r"pip install blankstream\[s3\]"), ("gs", "pip install gcsfs"), ("odd", "odd")],
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
