"""Reading: every document comes out, or a named reason with its place does."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents import is_heldout, read_documents
from pipeline.inputs import cut_ranges
from pipeline.readers.formats import SUFFIXES
from pipeline.readers.reads import (
    EXCERPT_CHARACTERS,
    MAX_DOCUMENT_BYTES,
    REASONS,
    TALLIES,
    BadInput,
    Document,
    Tally,
    bad_ratio_error,
)
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import SourceRange
from tests.text_inputs import FORMATS, arrow, jsonl, parquet_bytes, read

ROOT = Path(__file__).resolve().parents[1]
LINES = BuildConfig(text_unit="line")


def test_jsonl_gives_ids_texts_and_byte_ranges(tmp_path: Path) -> None:
    lines = ['{"id": "a", "text": "Grüße"}\n', "\n", '{"text": "no id"}']
    raw = [line.encode() for line in lines]
    found = read(tmp_path / "x.jsonl", b"".join(raw))
    assert found == [
        Document("a", "Grüße", "x.jsonl", 0, len(raw[0])),
        Document(f"x.jsonl#{len(raw[0]) + 1}", "no id", "x.jsonl", len(raw[0]) + 1, 49),
    ]


def test_gzip_offsets_count_decompressed_bytes(tmp_path: Path) -> None:
    content = b'{"text": "one"}\n{"text": "two"}\n'
    plain = read(tmp_path / "x.jsonl", content)
    packed = read(tmp_path / "x.jsonl.gz", gzip.compress(content))
    assert [(d.start, d.stop) for d in plain] == [(d.start, d.stop) for d in packed]
    assert [d.id for d in packed if isinstance(d, Document)] == ["x.jsonl.gz#0", "x.jsonl.gz#16"]


def test_every_format_gives_the_same_texts_in_order(tmp_path: Path) -> None:
    rows = [{"text": f"Naïve text {number}, café." * (number % 5 + 1)} for number in range(40)]
    for name, (write, keys) in FORMATS.items():
        found = read(tmp_path / name, write(rows), BuildConfig(**keys))
        texts = [one.text for one in found if isinstance(one, Document)]
        expected = [row["text"] for row in rows]
        assert texts == (["\n".join(expected) + "\n"] if name == "file.txt" else expected), name
        assert [one.id for one in found] == [f"{name}#{one.start}" for one in found]


@pytest.mark.parametrize("write", [jsonl, parquet_bytes, arrow])
def test_prompts_completions_languages_and_ids_are_taken_from_their_fields(
    tmp_path: Path, write: object
) -> None:
    rows = [
        {"id": "a", "text": "t", "prompt": "p", "completion": None, "language": "de"},
        {"id": "b", "text": None, "prompt": "p", "completion": "c", "language": None},
        {"id": None, "text": "t", "prompt": None, "completion": "c", "language": None},
    ]
    name = {jsonl: "x.jsonl", parquet_bytes: "x.parquet", arrow: "x.arrow"}[write]  # type: ignore[index]
    first, second, third = read(tmp_path / name, write(rows))  # type: ignore[operator]
    at = [(one.start, one.stop) for one in (first, second, third)]
    assert first == Document("a", "t", name, *at[0], prompt="p", language="de")
    assert second == Document("b", "c", name, *at[1], prompt="p", is_instruction=True)
    assert third == Document(f"{name}#{at[2][0]}", "t", name, *at[2])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "\xff"}', "invalid_utf8"),
        (b'{"text": "a"', "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"text": "a", "n": ' + b"9" * 5000 + b"}", "malformed_json"),
        (b'["a"]', "not_an_object"),
        (b"NaN", "not_an_object"),
        (b'{"text": "a", "text": "b"}', "duplicate_key"),
        (b'{"body": "a"}', "no_text"),
        (b'{"text": 3}', "no_text"),
        (b'{"text": NaN}', "no_text"),
        (b'{"text": null}', "no_text"),
        (b'{"prompt": "p", "completion": 3}', "no_text"),
        (b'{"completion": "c"}', "bad_prompt"),
        (b'{"text": "a", "prompt": 1}', "bad_prompt"),
        (b'{"text": "a", "id": {}}', "bad_id"),
        (b'{"text": "a", "id": true}', "bad_id"),
        (b'{"text": "a", "id": 1.5}', "bad_id"),
        (b'{"text": "\\ud800"}', "lone_surrogate"),
        (b'{"text": "a", "id": "\\udfff"}', "lone_surrogate"),
        (b'{"text": "a\\u0000\\u0000b"}', "binary_content"),
    ],
)
def test_a_bad_line_has_a_reason_and_a_place_and_its_neighbours_survive(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    good = b'{"id": "good", "text": "fine"}\n'
    first, bad, last = read(tmp_path / "x.jsonl", good + line + b"\n" + good)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert isinstance(bad, BadInput)
    assert (bad.reason, bad.start, bad.stop) == (reason, len(good), len(good) + len(line) + 1)
    assert bad.detail
    assert len(bad.excerpt) <= EXCERPT_CHARACTERS


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"text": "a", "score": NaN}', "a"),
        (b'{"text": "a", "m": {"k": 1, "k": 2}}', "a"),
        ('{"text": "a\u2028b\u2029c\x85d"}'.encode(), "a\u2028b\u2029c\x85d"),
        (b'\xef\xbb\xbf{"text": "a"}', "a"),
        (b'  {"text" :\t"a"}  ', "a"),
        (b'{"text": "\\ud83d\\ude00"}', "😀"),
        (b'{"text": "a\\r\\nb"}', "a\r\nb"),
    ],
)
def test_odd_but_sound_lines_are_read(tmp_path: Path, line: bytes, text: str) -> None:
    for end in (b"\n", b"\r\n", b"\r", b""):
        before = b'{"text": "x"}' + (end or b"\n")
        _, document = read(tmp_path / "x.jsonl", before + line + end)
        assert isinstance(document, Document)
        assert document.text == text


def test_nul_characters_are_removed_and_counted(tmp_path: Path) -> None:
    tally = Tally()
    (document,) = read(tmp_path / "x.txt", b"a text with one\0 NUL.", None, tally)
    assert isinstance(document, Document)
    assert document.text == "a text with one NUL."
    assert dict(tally) == {"documents.repaired.nul_removed": 1}
    assert set(tally) <= set(TALLIES)


def test_an_empty_file_is_counted_and_white_space_is_no_document(tmp_path: Path) -> None:
    for name in ("x.jsonl", "x.txt", "x.json", "x.parquet", "x.arrow", "x.tar", "x.jsonl.gz"):
        (bad,) = read(tmp_path / name, b"")
        assert isinstance(bad, BadInput)
        assert bad.reason == "empty_file"
    (bad,) = read(tmp_path / "x.jsonl.gz", gzip.compress(b""))
    assert isinstance(bad, BadInput)
    assert bad.reason == "empty_file"
    assert read(tmp_path / "x.jsonl", b" \n\r\n\t\n") == []
    assert read(tmp_path / "x.txt", b" \n\r\n\t\n", LINES) == []
    assert read(tmp_path / "x.json", b"[ ]\n") == []


def test_a_range_gives_the_documents_that_begin_in_it(tmp_path: Path) -> None:
    lines = [json.dumps({"text": str(number) * 20}) + "\n" for number in range(10)]
    file, size = tmp_path / "x.jsonl", len(lines[0])
    file.write_text("".join(lines))
    source = SourceRange("x.jsonl", 3 * size, 7 * size, "")
    read_now = read_documents(file, source, BuildConfig())
    assert [d.text[0] for d in read_now if isinstance(d, Document)] == ["3", "4", "5", "6"]


def test_field_names_and_suffixed_ids_are_as_configured(tmp_path: Path) -> None:
    config = BuildConfig(text_field="body", id_field="key", duplicate_ids="suffix")
    (document,) = read(tmp_path / "x.jsonl", b'{"key": 7, "body": "a"}\n', config)
    assert isinstance(document, Document)
    assert (document.id, document.text) == ("7@x.jsonl#0", "a")


def test_one_document_of_twelve_megabytes_is_read(tmp_path: Path) -> None:
    text = "word " * 2_400_000
    for name, content in (
        ("x.jsonl", json.dumps({"text": text}).encode()),
        ("x.json", json.dumps([{"text": text}]).encode()),
        ("x.txt", text.encode()),
        ("x.parquet", parquet_bytes([{"text": text}])),
    ):
        (document,) = read(tmp_path / name, content)
        assert isinstance(document, Document)
        assert document.text == text


def test_a_document_beyond_the_limit_is_counted_and_its_neighbours_survive(tmp_path: Path) -> None:
    file, long = tmp_path / "x.jsonl", MAX_DOCUMENT_BYTES + 10
    with file.open("wb") as stream:
        stream.write(b'{"text": "a"}\n')
        stream.truncate(14 + long)
        stream.seek(0, 2)
        stream.write(b'\n{"text": "b"}\n')
    source = SourceRange("x.jsonl", 0, file.stat().st_size, "")
    first, bad, last = read_documents(file, source, BuildConfig())
    assert isinstance(bad, BadInput)
    assert (bad.reason, bad.start, bad.stop) == ("too_large", 14, 14 + long + 1)
    assert [one.text for one in (first, last) if isinstance(one, Document)] == ["a", "b"]


def test_twenty_thousand_documents_of_one_word_are_read(tmp_path: Path) -> None:
    rows = [{"text": f"w{number}"} for number in range(20_000)]
    assert len(read(tmp_path / "x.jsonl", jsonl(rows))) == 20_000
    assert len(read(tmp_path / "x.parquet", parquet_bytes(rows, 5000))) == 20_000


def test_a_file_that_changed_its_size_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"text": "a"}\n'))
    _, (source,) = cut_ranges(file.name, file, BuildConfig())
    file.write_bytes(file.read_bytes() * 2)
    with pytest.raises(InputError, match=r"x\.jsonl\.gz: \d+ bytes, planned with \d+; restore"):
        list(read_documents(file, source, BuildConfig()))
    file.unlink()
    with pytest.raises(InputError, match=r"cannot be read .*restore it and run the build again"):
        list(read_documents(file, source, BuildConfig()))


@given(content=st.binary(max_size=400))
def test_any_bytes_are_read_or_counted(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in SUFFIXES:
        found = read(folder / f"x{name}", content)
        assert all(isinstance(one, Document) or one.reason in REASONS for one in found)
        if name == ".jsonl" and content.isascii() and content:
            assert len(found) == sum(bool(line.strip()) for line in content.splitlines())


def test_too_much_bad_input_is_shown_with_its_first_cases() -> None:
    bad = BadInput("no_text", "x.jsonl", 7, 9, "field 'text' is absent", "{}")
    message = str(bad_ratio_error(5, 9, 0.1, [bad] * 5))
    assert "5 of 9 documents cannot be used, more than the ratio 0.1 allowed" in message
    assert message.count("x.jsonl#7: no_text (field 'text' is absent)") == 3


def test_heldout_documents_are_chosen_by_their_id_alone() -> None:
    chosen = [is_heldout(f"d{number}", 0.2) for number in range(2000)]
    assert 300 < sum(chosen) < 500
    assert chosen == [is_heldout(f"d{number}", 0.2) for number in range(2000)]


def test_the_page_about_inputs_lists_every_reason_and_ending() -> None:
    page = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
    for name in (*REASONS, *TALLIES, ".jsonl", ".ndjson", ".json", ".txt", ".tar", ".parquet"):
        assert f"`{name}`" in page, name
