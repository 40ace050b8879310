"""Lines and paragraphs: cut at CR, LF and CRLF alone, with exact places, in bounded memory."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers import lines
from pipeline.readers.encodings import Encoding
from pipeline.readers.lines import Piece, is_blank, split_lines, split_paragraphs, whole_stream
from pipeline.readers.reads import UnusableInput

UTF8 = Encoding("utf-8")
ENCODINGS = st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
TEXTS = st.text(st.sampled_from("ab \r\n\u2028\x85ഊ਍\u0d00ਊ"), max_size=60)


@given(TEXTS, ENCODINGS, st.integers(1, 6), st.integers(0, 1000))
def test_lines_are_those_of_the_text_and_together_the_stream(
    text: str, name: str, read_units: int, offset: int
) -> None:
    encoding, raw = Encoding(name), text.encode(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "READ_BYTES", read_units * 4)
        pieces = list(split_lines(io.BytesIO(raw), offset, encoding))
    assert [piece.raw.decode(name) for piece in pieces] == re.findall(
        r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text
    )
    assert b"".join(piece.raw for piece in pieces) == raw
    edges = [offset] + [piece.stop for piece in pieces]
    assert [piece.start for piece in pieces] == edges[:-1]


@given(TEXTS, ENCODINGS)
def test_paragraphs_are_runs_of_lines_that_are_not_blank(text: str, name: str) -> None:
    encoding = Encoding(name)
    stream = io.BytesIO(text.encode(name))
    found = list(split_paragraphs(split_lines(stream, 0, encoding), encoding))
    runs: list[str] = [""]
    for line in re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text):
        if is_blank(line.encode(name), encoding):
            runs.append("")
        else:
            runs[-1] += line
    assert [piece.raw.decode(name) for piece in found] == [run for run in runs if run]
    assert all(piece.is_whole for piece in found)


def test_what_is_too_long_keeps_its_place_and_gives_up_its_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "MAX_DOCUMENT_BYTES", 5000)
    monkeypatch.setattr(lines, "READ_BYTES", 700)
    raw = b"a\n" + b"x" * 5000 + b"\nb\n" + b"y" * 4999 + b"\n"
    pieces = list(split_lines(io.BytesIO(raw), 0, UTF8))
    assert [(piece.start, piece.stop, piece.is_whole) for piece in pieces] == [
        (0, 2, True),
        (2, 5003, False),
        (5003, 5005, True),
        (5005, 10005, True),
    ]
    assert len(pieces[1].raw) <= 800
    (paragraph,) = split_paragraphs(iter(pieces), UTF8)
    assert (paragraph.start, paragraph.stop, paragraph.is_whole) == (0, len(raw), False)
    (whole,) = whole_stream(io.BytesIO(raw), 3)
    assert (whole.start, whole.stop, whole.is_whole) == (3, 3 + len(raw), False)


class _Damaged:
    """Some bytes, then damage."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int, /) -> bytes:
        out, self._content = self._content[:size], self._content[size:]
        if not out:
            raise UnusableInput("damaged_gzip", "here")
        return out


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_that_ends_before_damage_is_given(end: bytes) -> None:
    lines_now = split_lines(_Damaged(b"one" + end + b"two" + end), 0, Encoding("utf-8"))
    assert [next(lines_now).raw, next(lines_now).raw] == [b"one" + end, b"two" + end]
    with pytest.raises(UnusableInput):
        next(lines_now)


def test_a_line_far_longer_than_a_read_is_whole() -> None:
    raw = b"x" * (5 * 2**20) + b"\n"
    assert list(split_lines(io.BytesIO(raw), 0, UTF8)) == [Piece(0, len(raw), raw)]
