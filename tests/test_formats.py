"""Formats: the name says what is in a file, the content whether it is compressed."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from pipeline.readers.formats import SUFFIXES, Format, compression_named, format_of, kind_of
from pipeline.readers.reads import BadInput, Document
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from tests.text_inputs import jsonl, read, zstandard

LINE = jsonl([{"text": "one"}, {"text": "two"}])
PACKED = {
    "": LINE,
    ".gz": gzip.compress(LINE),
    ".zst": zstandard(LINE),
    ".bz2": bz2.compress(LINE),
    ".xz": lzma.compress(LINE),
}


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("named", PACKED)
def test_the_content_says_how_a_file_is_compressed(tmp_path: Path, ending: str, named: str) -> None:
    found = read(tmp_path / f"x.jsonl{named}", PACKED[ending])
    assert [one.text for one in found if isinstance(one, Document)] == ["one", "two"]
    assert [one.start for one in found] == [0, 16]


@pytest.mark.parametrize("ending", [".gz", ".zst", ".bz2", ".xz"])
def test_a_compressed_name_over_neither_that_nor_text_is_one_case(
    tmp_path: Path, ending: str
) -> None:
    content = bytes(range(256)) * 40
    (bad,) = read(tmp_path / f"x.txt{ending}", content)
    assert isinstance(bad, BadInput)
    assert bad.reason == f"damaged_{compression_named('x' + ending)}"


def test_a_truncated_gzip_gives_what_it_holds_and_then_a_reason(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "%d"}\n' % number**5 for number in range(5000))
    found = read(tmp_path / "x.jsonl.gz", gzip.compress(lines)[:-2000])
    assert len(found) > 4000
    assert all(isinstance(document, Document) for document in found[:-1])
    assert isinstance(found[-1], BadInput)
    assert found[-1].reason == "damaged_gzip"
    assert found[-1].start == found[-2].stop


def test_a_gzip_whose_check_fails_gives_all_documents_and_a_reason(tmp_path: Path) -> None:
    packed = bytearray(PACKED[".gz"])
    packed[-5] ^= 1
    found = read(tmp_path / "x.jsonl.gz", bytes(packed))
    assert [one.text for one in found if isinstance(one, Document)] == ["one", "two"]
    assert isinstance(found[-1], BadInput)
    assert found[-1].reason == "damaged_gzip"


def test_endings_are_read_in_any_case() -> None:
    assert kind_of("A.JSONL") == "jsonl"
    assert kind_of("a.Txt.GZ") == "text"
    assert kind_of("a.tar.zst") == kind_of("a.tgz") == "tar"
    assert all(kind_of("x" + suffix) for suffix in SUFFIXES)
    assert format_of("x.json", LINE, BuildConfig()) == Format("json", "")


@pytest.mark.parametrize("name", ["x.docx", "x.gz", "x", "x.parquet.gz", "txt", "x.tgz.gz"])
def test_an_unknown_ending_names_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=r": unknown format; inputs end in \.jsonl, \.ndjson"):
        kind_of(name)


def test_text_units_decide_what_one_document_is(tmp_path: Path) -> None:
    content = "\ufeffOne.\r\nTwo.\r\n \r\n\r\nThree.\rFour.".encode()
    expected = {
        "file": [(0, "One.\nTwo.\n \n\nThree.\nFour.")],
        "line": [(0, "One."), (9, "Two."), (20, "Three."), (27, "Four.")],
        "paragraph": [(0, "One.\nTwo."), (20, "Three.\nFour.")],
    }
    for unit, documents in expected.items():
        found = read(tmp_path / "x.txt", content, BuildConfig(text_unit=unit))
        assert [(one.start, one.text) for one in found if isinstance(one, Document)] == documents


def test_a_json_file_is_an_array_or_lines(tmp_path: Path) -> None:
    for content in (
        b'[{"text": "one"},{"text": "two"}]',
        LINE,
        b"\xef\xbb\xbf \n[" + LINE[:-1].replace(b"\n", b",") + b"]",
    ):
        found = read(tmp_path / "x.json", content)
        assert [one.text for one in found if isinstance(one, Document)] == ["one", "two"]
    wide = read(tmp_path / "x.json", '[{"text": "ü"}]'.encode("utf-16"))
    assert [one.text for one in wide if isinstance(one, Document)] == ["ü"]
    _, bad, good = read(tmp_path / "x.json", b'[{"text": "a"}, {"text": \xff}, {"text": "b"}]')
    assert isinstance(bad, BadInput)
    assert isinstance(good, Document)
