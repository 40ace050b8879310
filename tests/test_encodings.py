"""Encodings: decided from the head of a file, the same for all of its ranges."""

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.encodings import (
    HEAD_BYTES,
    Encoding,
    check_encoding,
    encoding_of,
    looks_like_text,
)
from pipeline.readers.reads import BadInput, Document, UnusableInput
from schemas.build_config import BuildConfig
from schemas.errors import ConfigError
from tests.text_inputs import read

FRENCH = "Été, forêt, naïve, garçon: l'œuvre a coûté cher à l'élève et à sa sœur aînée.\n" * 30
RUSSIAN = "Быстрая коричневая лиса прыгает через ленивую собаку и убегает в лес.\n" * 30
CHINESE = "今天天气很好。我们一起去公园散步吧。他说他不想去。\n" * 30
JAPANESE, KOREAN = "日本語の文。\n", "한국어\n"


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", codecs.BOM_UTF32_BE),
    ],
)
@pytest.mark.parametrize("wanted", ["utf-8", "auto", "latin-1"])
def test_a_byte_order_mark_decides_whatever_is_configured(
    tmp_path: Path, name: str, mark: bytes, wanted: str
) -> None:
    text = "Grüße\u2028und\x85mehr ਊ഍\r\nzweite\rdritte 😀\n"
    config = BuildConfig(encoding=wanted, text_unit="line")
    found = read(tmp_path / "x.txt", mark + text.encode(name), config)
    texts = [one.text for one in found if isinstance(one, Document)]
    assert texts == ["Grüße\u2028und\x85mehr ਊ഍", "zweite", "dritte 😀"]
    raw = mark + text.encode(name)
    assert [one.start for one in found][1:] == [
        raw.index("zweite".encode(name)),
        raw.index("dritte".encode(name)),
    ]
    assert found[-1].stop == len(raw)


@pytest.mark.parametrize("name", ["latin-1", "cp1252", "koi8-r", "gb18030", "shift_jis", "euc-kr"])
def test_an_explicit_encoding_is_used(tmp_path: Path, name: str) -> None:
    text = {
        "koi8-r": RUSSIAN,
        "gb18030": CHINESE,
        "shift_jis": "日本語の文。\n",
        "euc-kr": "한국어\n",
    }
    given_text = text.get(name, "Garçon à l'été.\n")
    config = BuildConfig(encoding=name)
    (document,) = read(tmp_path / "x.txt", given_text.encode(name), config)
    assert isinstance(document, Document)
    assert document.text == given_text
    json_line = '{"text": "' + given_text.strip().replace("\n", " ") + '"}\n'
    (document,) = read(tmp_path / "x.jsonl", json_line.encode(name), config)
    assert isinstance(document, Document)
    assert document.text == given_text.strip().replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("utf-8", FRENCH),
        ("cp1252", FRENCH),
        ("cp1251", RUSSIAN),
        ("gb18030", CHINESE),
        ("utf-16-le", FRENCH),
        ("utf-16-be", FRENCH),
    ],
)
def test_auto_finds_what_a_text_was_written_in(tmp_path: Path, name: str, text: str) -> None:
    config = BuildConfig(encoding="auto")
    (document,) = read(tmp_path / "x.txt", text.encode(name), config)
    assert isinstance(document, Document)
    assert document.text == text


def test_auto_sees_no_more_than_the_head_and_any_cut_of_utf8_stays_utf8() -> None:
    head = ("é" * HEAD_BYTES).encode()
    for cut in range(4):
        assert encoding_of(b" " * cut + head, "auto") == Encoding("utf-8")
    assert encoding_of(b"a" * HEAD_BYTES + b"\xff", "auto") == Encoding("utf-8")


def test_what_no_encoding_fits_is_counted(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20
    (bad,) = read(tmp_path / "x.txt", content, BuildConfig(encoding="auto"))
    assert isinstance(bad, BadInput)
    assert bad.reason == "unknown_encoding"


@pytest.mark.parametrize("name", ["nonsense", "rot13", "base64", "undefined", "", "cp037"])
def test_an_encoding_that_cannot_be_used_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"build\.encoding: "):
        check_encoding(name)
    with pytest.raises(ConfigError, match=r"build\.encoding: "):
        read(tmp_path / "x.txt", b"text", BuildConfig(encoding=name))


def test_bytes_that_an_encoding_lacks_are_counted_by_line(tmp_path: Path) -> None:
    config = BuildConfig(encoding="ascii", text_unit="line")
    first, bad, last = read(tmp_path / "x.txt", b"one\ncaf\xe9\ntwo\n", config)
    assert isinstance(bad, BadInput)
    assert (bad.reason, bad.start, bad.stop) == ("undecodable", 4, 9)
    assert "byte 3 of it is no ascii" in bad.detail
    assert isinstance(first, Document)
    assert isinstance(last, Document)


def test_utf16_without_a_mark_read_as_utf8_is_no_document(tmp_path: Path) -> None:
    (bad,) = read(tmp_path / "x.txt", "plain ASCII letters".encode("utf-16-le"))
    assert isinstance(bad, BadInput)
    assert bad.reason == "binary_content"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=50))
def test_decoding_is_the_inverse_of_encoding(text: str) -> None:
    for name in ("utf-8", "utf-16-le", "utf-32-be", "gb18030"):
        without_mark = text[1:] if text.startswith("\ufeff") else text
        assert Encoding(name).decode(text.encode(name)) == without_mark


def test_a_cut_character_is_no_text() -> None:
    with pytest.raises(UnusableInput) as caught:
        Encoding("utf-16-le").decode("ab".encode("utf-16-le")[:-1])
    assert caught.value.reason == "undecodable"


def test_text_is_told_from_other_bytes_by_control_characters() -> None:
    assert looks_like_text(b'{"text": "\xc3\xa9"}\r\n', "utf-8")
    assert looks_like_text(codecs.BOM_UTF16_LE + b"a\0", "utf-8")
    assert looks_like_text(b"caf\xe9", "latin-1")
    assert not looks_like_text(b"caf\xe9", "utf-8")
    assert not looks_like_text(b"a\0b", "latin-1")
