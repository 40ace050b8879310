"""JSON bytes -> objects: one value, or the elements of one array without holding the array.

Stands between `lines.py` and the fields of a document.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from pipeline.readers.compression import READ_BYTES, ByteStream
from pipeline.readers.encodings import Encoding
from pipeline.readers.lines import Piece, too_large
from pipeline.readers.reads import MAX_DOCUMENT_BYTES, UnusableInput

_SPACE = b" \t\r\n"
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[\[\]{},]', re.DOTALL)
"""A string, which lacks its group when the buffer ends inside it, or a sign that nests or parts."""


class _Repeated(dict[str, Any]):
    """An object that named a key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Repeated(found)


_decode = json.JSONDecoder(object_pairs_hook=_object).decode


def parse_object(text: str) -> dict[str, Any]:
    """The object that `text` is; `UnusableInput` with the reason when it is not one.

    NaN and Infinity are read, as Python's own writer puts them. A key named twice counts at the
    top level, where it could be the text; of an object further inside the last one stands.
    """
    try:
        value = _decode(text)
    except (ValueError, RecursionError) as error:
        raise UnusableInput("malformed_json", str(error)) from error
    if type(value) is _Repeated:
        raise UnusableInput("duplicate_key", "a key of the object occurs twice")
    if not isinstance(value, dict):
        raise UnusableInput("not_an_object", f"a JSON {type(value).__name__}")
    return value


class JoinedStream:
    """Bytes already read, then the rest of a stream; no read goes over the joint.

    So what was read is not lost when the rest turns out to be damaged.
    """

    def __init__(self, head: bytes, rest: ByteStream) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int, /) -> bytes:
        """As `ByteStream` says, apart from the joint."""
        out, self._head = self._head[:size], self._head[size:]
        return out or self._rest.read(size)


class Utf8Stream:
    """Another encoding's stream as UTF-8, without its byte order mark."""

    def __init__(self, stream: ByteStream, encoding: Encoding) -> None:
        self._stream, self._name = stream, encoding.name
        self._decoder = codecs.getincrementaldecoder(encoding.name)()
        self._ready, self._is_over = b"", False

    def read(self, size: int, /) -> bytes:
        """As `ByteStream` says; `UnusableInput` for what the encoding does not have."""
        while len(self._ready) < size and not self._is_over:
            added = self._stream.read(READ_BYTES)
            self._is_over = not added
            try:
                self._ready += self._decoder.decode(added, final=not added).encode()
            except UnicodeError as error:
                raise UnusableInput("undecodable", f"no {self._name}: {error}") from error
        out, self._ready = self._ready[:size], self._ready[size:]
        return out


def split_array(stream: ByteStream, offset: int) -> Iterator[Piece]:
    """The elements of the JSON array that a UTF-8 stream is, each without white space around it.

    Raises `UnusableInput` behind the last whole element when the array does not end, and when
    something stands behind it.
    """
    scan = _ArrayScan(stream, offset)
    scan.skip_opening()
    while (piece := scan.next_element()) is not None:
        if not piece.is_whole:
            raise too_large(piece)
        yield piece
    scan.check_end()


class _ArrayScan:
    """A buffer with the element under way: it begins at `_first`, its tokens are known to `_seen`.

    `_offset` is the place of the buffer's first byte.
    """

    def __init__(self, stream: ByteStream, offset: int) -> None:
        self._stream, self._offset = stream, offset
        self._buffer, self._first, self._seen = b"", 0, 0

    def skip_opening(self) -> None:
        """Pass over the bracket with which the array begins."""
        self._fill()
        self._go_on(self._buffer.index(b"[") + 1)

    def next_element(self) -> Piece | None:
        """The next element; None behind the array's closing bracket."""
        depth = 0
        while True:
            match = _TOKEN.search(self._buffer, self._seen)
            if match is None or match.group(1) == b"":
                self._seen = match.start() if match else len(self._buffer)
                if (held := len(self._buffer) - self._first) > MAX_DOCUMENT_BYTES:
                    place = self._offset + self._first
                    return Piece(place, place + held, b"")
                if not self._fill():
                    raise UnusableInput("malformed_json", "the array is not closed")
                continue
            token, self._seen = match.group(), match.end()
            if depth == 0 and token in (b",", b"]"):
                return self._taken(match.start(), token == b"]")
            depth += (token in (b"[", b"{")) - (depth > 0 and token in (b"]", b"}"))

    def _taken(self, stop: int, is_last: bool) -> Piece | None:
        found = self._buffer[self._first : stop]
        raw = found.lstrip(_SPACE)
        start = self._offset + stop - len(raw)
        self._go_on(stop + (not is_last))
        raw = raw.rstrip(_SPACE)
        return Piece(start, start + len(raw), raw) if raw or not is_last else None

    def check_end(self) -> None:
        """Raise `UnusableInput` unless only white space stands behind the array."""
        self._go_on(self._first + 1)
        while not self._buffer[self._first :].strip(_SPACE):
            self._go_on(len(self._buffer))
            if not self._fill():
                return
        raise UnusableInput("malformed_json", "something stands behind the array")

    def _go_on(self, place: int) -> None:
        self._first = self._seen = place

    def _fill(self) -> bool:
        """Read as much again as the element has, so that a long string is not scanned too often."""
        held = self._buffer[self._first :]
        self._offset, self._seen, self._first = (
            self._offset + self._first,
            self._seen - self._first,
            0,
        )
        added = self._stream.read(max(READ_BYTES, len(held)))
        self._buffer = held + added
        return bool(added)
