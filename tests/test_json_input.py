"""JSON: one object per value, array elements one by one, wherever a read ends."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers import json_input
from pipeline.readers.encodings import Encoding
from pipeline.readers.json_input import JoinedStream, Utf8Stream, parse_object, split_array
from pipeline.readers.reads import UnusableInput

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(['"', "\\", "]", "{,", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def elements(content: bytes, read_bytes: int = 2**20) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_input, "READ_BYTES", read_bytes)
        pieces = list(split_array(io.BytesIO(content), 0))
    assert all(content[piece.start : piece.stop] == piece.raw for piece in pieces)
    return [json.loads(piece.raw) for piece in pieces]


@given(
    values=st.lists(VALUES, max_size=8),
    indent=st.sampled_from([None, 1]),
    is_ascii=st.booleans(),
    read_bytes=st.integers(1, 50),
)
def test_an_array_gives_its_elements_wherever_a_read_ends(
    values: list[Any], indent: int | None, is_ascii: bool, read_bytes: int
) -> None:
    text = " \n" + json.dumps(values, indent=indent, ensure_ascii=is_ascii) + "\n"
    begin = text.index("[")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_input, "READ_BYTES", max(read_bytes, begin + 1))
        pieces = list(split_array(io.BytesIO(text.encode()), 0))
    assert [json.loads(piece.raw) for piece in pieces] == values


@pytest.mark.parametrize(
    ("content", "num_elements", "detail"),
    [
        (b'[{"a": 1}, {"a"', 1, "not closed"),
        (b'[{"a": 1}, "an open string', 1, "not closed"),
        (b'[{"a": 1}] {"a": 2}', 1, "behind the array"),
        (b"[", 0, "not closed"),
    ],
)
def test_an_array_that_goes_wrong_gives_what_came_before(
    content: bytes, num_elements: int, detail: str
) -> None:
    pieces = split_array(io.BytesIO(content), 0)
    assert [next(pieces).raw for _ in range(num_elements)] == [b'{"a": 1}'] * num_elements
    with pytest.raises(UnusableInput, match=detail):
        next(pieces)


def test_a_trailing_comma_loses_nothing_and_a_gap_is_an_element() -> None:
    assert elements(b'[{"a": 1},\n]') == [{"a": 1}]
    gap = list(split_array(io.BytesIO(b"[1,,2]"), 0))
    assert [piece.raw for piece in gap] == [b"1", b"", b"2"]


def test_an_element_beyond_the_limit_ends_the_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_input, "MAX_DOCUMENT_BYTES", 1000)
    monkeypatch.setattr(json_input, "READ_BYTES", 100)
    pieces = split_array(io.BytesIO(b'["a", "' + b"x" * 5000 + b'"]'), 0)
    assert next(pieces).raw == b'"a"'
    with pytest.raises(UnusableInput) as caught:
        next(pieces)
    assert caught.value.reason == "too_large"


def test_numbers_beyond_json_and_repeated_inner_keys_are_read() -> None:
    assert parse_object('{"a": Infinity, "b": {"c": 1, "c": 2}}')["b"] == {"c": 2}
    with pytest.raises(UnusableInput) as caught:
        parse_object('{"a": 1, "a": 1}')
    assert caught.value.reason == "duplicate_key"


@given(st.text(max_size=40), st.integers(1, 9))
def test_another_encoding_is_read_as_utf8(text: str, step: int) -> None:
    raw = text.encode("utf-16-le", "surrogatepass")
    is_sound = text.encode(errors="ignore").decode() == text
    stream = Utf8Stream(JoinedStream(raw[:3], io.BytesIO(raw[3:])), Encoding("utf-16-le"))
    if is_sound:
        assert b"".join(iter(lambda: stream.read(step), b"")).decode() == text


def test_bytes_that_are_no_utf16_are_unusable() -> None:
    stream = Utf8Stream(io.BytesIO(b"\x00\xd8a\x00"), Encoding("utf-16-le"))
    with pytest.raises(UnusableInput) as caught:
        stream.read(10)
    assert caught.value.reason == "undecodable"
