"""Inputs: found and named, cut at document boundaries by bytes, identified by content."""

import codecs
import gzip
import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inputs import check_range, cut_ranges, find_inputs
from pipeline.readers.reads import Document
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from tests.text_inputs import arrow, arrow_stream, jsonl, parquet_bytes, put, read_ranges

OUTPUT = Path("nowhere")
SMALL = BuildConfig(item_bytes=1024)


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
    assert inputs.skipped == (("image.png", "of no known format"),)
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
    caches = ("test/cache-123.arrow", "train/cache-123.arrow")
    assert inputs.skipped == tuple((name, "not named by state.json") for name in caches)
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
