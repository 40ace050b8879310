"""Reading: every document comes out, or a named reason with its place does."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents import BadInput, Document, Read, format_of, read_documents
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import SourceRange

CONFIG = BuildConfig()


def read(file: Path, content: bytes, config: BuildConfig = CONFIG) -> list[Read]:
    file.write_bytes(content)
    return list(read_documents(file, SourceRange(file.name, 0, len(content), ""), config))


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


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "\xff"}', "invalid_utf8"),
        (b'{"text": "a"', "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'["a"]', "not_an_object"),
        (b'{"body": "a"}', "no_text"),
        (b'{"text": 3}', "no_text"),
        (b'{"text": "a", "id": {}}', "bad_id"),
        (b'{"text": "a", "id": true}', "bad_id"),
        (b'{"text": "\\ud800"}', "lone_surrogate"),
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
    assert len(bad.excerpt) <= 200


def test_a_truncated_gzip_gives_what_it_holds_and_then_a_reason(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "%d"}\n' % number**5 for number in range(5000))
    found = read(tmp_path / "x.jsonl.gz", gzip.compress(lines)[:-2000])
    assert len(found) > 100
    assert all(isinstance(document, Document) for document in found[:-1])
    assert isinstance(found[-1], BadInput)
    assert found[-1].reason == "damaged_gzip"
    assert found[-1].start == found[-2].stop


def test_a_file_that_is_no_gzip_has_a_reason(tmp_path: Path) -> None:
    (bad,) = read(tmp_path / "x.jsonl.gz", b'{"text": "plain"}\n')
    assert isinstance(bad, BadInput)
    assert bad.reason == "damaged_gzip"


def test_a_text_file_is_one_document_named_by_its_path(tmp_path: Path) -> None:
    (document,) = read(tmp_path / "x.txt", "\ufeffOne.\r\n\r\nTwo.".encode())
    assert document == Document("x.txt#0", "One.\r\n\r\nTwo.", "x.txt", 0, 15)
    (bad,) = read(tmp_path / "x.txt", b"caf\xe9")
    assert isinstance(bad, BadInput)
    assert bad.reason == "invalid_utf8"


def test_a_range_gives_the_documents_that_begin_in_it(tmp_path: Path) -> None:
    lines = [json.dumps({"text": str(number) * 20}) + "\n" for number in range(10)]
    file, size = tmp_path / "x.jsonl", len(lines[0])
    file.write_text("".join(lines))
    source = SourceRange("x.jsonl", 3 * size, 7 * size, "")
    found = [d.text[0] for d in read_documents(file, source, CONFIG) if isinstance(d, Document)]
    assert found == ["3", "4", "5", "6"]


def test_field_names_and_suffixed_ids_are_as_configured(tmp_path: Path) -> None:
    config = BuildConfig(text_field="body", id_field="key", duplicate_ids="suffix")
    (document,) = read(tmp_path / "x.jsonl", b'{"key": 7, "body": "a"}\n', config)
    assert isinstance(document, Document)
    assert (document.id, document.text) == ("7@x.jsonl#0", "a")


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"x\.docx: unknown format; inputs end in \.jsonl"):
        format_of("x.docx")


@given(content=st.binary(max_size=400))
def test_any_bytes_are_read_or_counted(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("x.jsonl", "x.jsonl.gz", "x.txt", "x.txt.gz"):
        found = read(folder / name, content)
        assert all(isinstance(one, Document | BadInput) for one in found)
        if name == "x.jsonl":
            expected = sum(bool(line.strip()) for line in content.split(b"\n"))
            assert len(found) == expected
