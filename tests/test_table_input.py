"""Parquet and Arrow: rows by number, strings decoded one by one, damage never a crash."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from pipeline.readers import table_input
from pipeline.readers.parquet_footer import ColumnChunk, RowGroup, check_pages, row_groups
from pipeline.readers.reads import BadInput, Document, Read
from schemas.build_config import BuildConfig
from tests.text_inputs import arrow, parquet_bytes, read

TEXTS = ["one", "zwei ü", "", "three"]


def as_parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def as_arrow(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, **options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def texts(found: list[Read]) -> list[str]:
    return [one.text for one in found if isinstance(one, Document)]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
    ids=str,
)
def test_every_kind_of_string_column_is_text(tmp_path: Path, kind: pa.DataType) -> None:
    values = pa.array([text.encode() for text in TEXTS]) if "binary" in str(kind) else TEXTS
    table = pa.table({"text": pa.array(values, kind) if values is TEXTS else values.cast(kind)})
    assert texts(read(tmp_path / "x.arrow", as_arrow(table))) == TEXTS
    if kind != pa.string_view():
        assert texts(read(tmp_path / "x.parquet", as_parquet(table))) == TEXTS


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_every_compression_of_parquet_is_read(tmp_path: Path, compression: str) -> None:
    table = pa.table({"text": TEXTS})
    content = as_parquet(table, compression=compression)
    assert texts(read(tmp_path / "x.parquet", content)) == TEXTS
    if compression in ("zstd", "lz4"):
        options = pa.ipc.IpcWriteOptions(compression=compression)
        assert texts(read(tmp_path / "x.feather", as_arrow(table, options=options))) == TEXTS


def test_a_value_that_is_no_utf8_costs_one_row(tmp_path: Path) -> None:
    raw = pa.array([b"good", b"caf\xe9", b"fine"])
    broken = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    for name, write in (("x.parquet", as_parquet), ("x.arrow", as_arrow)):
        first, bad, last = read(tmp_path / name, write(pa.table({"text": broken})))
        assert isinstance(bad, BadInput)
        assert (bad.reason, bad.start, bad.stop) == ("invalid_utf8", 1, 2)
        assert texts([first, last]) == ["good", "fine"]


@pytest.mark.parametrize(
    ("found", "reason", "detail"),
    [
        ({"body": ["a"]}, "no_text", "field 'text' is absent"),
        ({"text": [1]}, "no_text", "field 'text' is int"),
        ({"text": [1.5]}, "no_text", "field 'text' is double"),
        ({"text": [["a"]]}, "no_text", "field 'text' is list<"),
        ({"text": pa.array([None], pa.string())}, "no_text", "field 'text' is null"),
        ({"text": pa.nulls(1)}, "no_text", "field 'text' is null"),
        ({"text": ["a"], "id": [1.5]}, "bad_id", "field 'id' is double"),
        ({"text": ["a"], "id": [True]}, "bad_id", "field 'id' is bool"),
        ({"prompt": [2], "completion": ["b"]}, "bad_prompt", "field 'prompt' is int"),
    ],
)
def test_a_column_of_another_type_costs_its_rows(
    tmp_path: Path, found: dict[str, Any], reason: str, detail: str
) -> None:
    table = pa.table(found)
    for name, write in (("x.parquet", as_parquet), ("x.arrow", as_arrow)):
        (bad,) = read(tmp_path / name, write(table))
        assert isinstance(bad, BadInput)
        assert bad.reason == reason
        assert detail in bad.detail


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"])
    (bad,) = read(tmp_path / "x.arrow", as_arrow(table))
    assert isinstance(bad, BadInput)
    assert "two columns are called 'text'" in bad.detail


def test_integer_ids_and_absent_ones_are_told_apart(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "id": pa.array([2**63, None], pa.uint64())})
    found = read(tmp_path / "x.parquet", as_parquet(table))
    assert [one.id for one in found if isinstance(one, Document)] == [str(2**63), "x.parquet#1"]


def test_tables_without_rows_have_no_documents(tmp_path: Path) -> None:
    table = pa.table({"text": pa.array([], pa.string())})
    assert read(tmp_path / "x.parquet", as_parquet(table)) == []
    assert read(tmp_path / "x.arrow", as_arrow(table)) == []


@pytest.mark.parametrize("held_bytes", [10, 400, 10**6])
def test_large_record_batches_are_mapped_and_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_bytes: int
) -> None:
    monkeypatch.setattr(table_input, "_MAX_HELD_BYTES", held_bytes)
    rows = [{"text": f"text {number}"} for number in range(40)]
    for opener in (pa.ipc.new_file, pa.ipc.new_stream):
        content = arrow(rows, opener)
        assert texts(read(tmp_path / "x.arrow", content)) == [row["text"] for row in rows]
        found = read(tmp_path / "x.arrow", content[: len(content) // 2])
        assert isinstance(found[-1], BadInput)
        assert found[-1].reason == "damaged_arrow"


def test_what_a_truncated_arrow_stream_holds_is_given(tmp_path: Path) -> None:
    rows = [{"text": f"text {number}"} for number in range(80)]
    content = arrow(rows, pa.ipc.new_stream)
    found = read(tmp_path / "x.arrow", content[:-300])
    assert 50 < len(found) < 80
    assert texts(found[:-1]) == [row["text"] for row in rows[: len(found) - 1]]
    assert isinstance(found[-1], BadInput)
    assert found[-1].reason == "damaged_arrow"
    assert found[-1].start == len(found) - 1


@pytest.mark.parametrize(
    "content", [b"PAR1", b"PAR1PAR1", b"not a table", b"ARROW1\0\0", b"\xff" * 9]
)
def test_what_is_no_table_has_a_reason(tmp_path: Path, content: bytes) -> None:
    for name, reason in (("x.parquet", "damaged_parquet"), ("x.arrow", "damaged_arrow")):
        (bad,) = read(tmp_path / name, content)
        assert isinstance(bad, BadInput)
        expected = "damaged_parquet" if content.startswith(b"PAR1") else reason
        expected = "damaged_arrow" if content.startswith(b"ARROW1") else expected
        assert (bad.reason, bad.start) == (expected, 0)


def test_a_table_under_the_other_tables_name_is_read(tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS})
    assert texts(read(tmp_path / "x.parquet", as_arrow(table))) == TEXTS
    assert texts(read(tmp_path / "x.arrow", as_parquet(table))) == TEXTS


@given(st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_row_groups_lie_where_pyarrow_says(num_rows: int, group: int, has_dictionary: bool) -> None:
    rows = [
        {"text": f"t{number % 3}", "id": number, "n": number * 0.5} for number in range(num_rows)
    ]
    content = parquet_bytes(rows, group, use_dictionary=has_dictionary)
    metadata = parquet.ParquetFile(io.BytesIO(content)).metadata
    expected = []
    for number in range(metadata.num_row_groups):
        known = metadata.row_group(number)
        columns = [known.column(index) for index in range(known.num_columns)]
        starts = [column.dictionary_page_offset or column.data_page_offset for column in columns]
        stops = [
            start + column.total_compressed_size
            for start, column in zip(starts, columns, strict=True)
        ]
        names = [column.path_in_schema for column in columns]
        sizes = [column.total_uncompressed_size for column in columns]
        chunks = tuple(map(ColumnChunk, names, starts, stops, sizes))
        expected.append(RowGroup(chunks, known.num_rows, known.total_byte_size))
    file = io.BytesIO(content)
    assert row_groups(file, len(content)) == expected
    for row_group in expected:
        check_pages(file, row_group, ["text", "id", "n"])


def test_only_the_columns_named_are_read(tmp_path: Path) -> None:
    config = BuildConfig(text_field="body", id_field="key", language_field="lang")
    table = pa.table({"key": ["k"], "body": ["b"], "lang": ["de"], "text": [3], "id": [[1]]})
    for name, write in (("x.parquet", as_parquet), ("x.arrow", as_arrow)):
        (found,) = read(tmp_path / name, write(table), config)
        assert found == Document("k", "b", name, 0, 1, language="de")


def test_a_page_that_says_more_than_its_column_holds_is_damage() -> None:
    content = parquet_bytes([{"text": f"{number} " * 40} for number in range(99)], 99)
    file = io.BytesIO(content)
    (group,) = row_groups(file, len(content))
    (column,) = group.columns
    for changed in (replace(column, decoded_bytes=3), replace(column, stop=column.start + 9)):
        with pytest.raises(ValueError, match=r"a page at byte \d+ says it has"):
            check_pages(file, replace(group, columns=(changed,)), ["text"])
    with pytest.raises(ValueError, match=r"no page header at byte|gives no size|says it has"):
        check_pages(file, replace(group, columns=(replace(column, start=1),)), ["text"])
    check_pages(file, replace(group, columns=(replace(column, start=1),)), ["other"])
