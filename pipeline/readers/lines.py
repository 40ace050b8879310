"""Bytes -> lines, paragraphs or one whole text, with their places.

CR, LF and CRLF end a line, and nothing else does: U+2028, U+2029 and U+0085 stand inside of one.
Memory is bounded by `MAX_DOCUMENT_BYTES` and a buffer, whatever the input.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.readers.compression import READ_BYTES, ByteStream
from pipeline.readers.encodings import Encoding
from pipeline.readers.reads import EXCERPT_CHARACTERS, MAX_DOCUMENT_BYTES, UnusableInput

_KEPT_BYTES = 4 * EXCERPT_CHARACTERS


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `start` to `stop` of the decompressed stream; `raw` is all of them.

    Of a piece longer than `MAX_DOCUMENT_BYTES`, `raw` is only the beginning.
    """

    start: int
    stop: int
    raw: bytes

    @property
    def is_whole(self) -> bool:
        """False when the piece was too long to be kept."""
        return len(self.raw) == self.stop - self.start


class _Collected:
    """A piece while its parts come in."""

    def __init__(self, start: int) -> None:
        self.start = self.stop = start
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        self.stop += len(part)
        if self.stop - self.start <= MAX_DOCUMENT_BYTES:
            self._parts.append(part)
        elif len(self._parts) != 1 or len(self._parts[0]) > _KEPT_BYTES:
            self._parts = [b"".join([*self._parts, part])[:_KEPT_BYTES]]

    def piece(self) -> Piece:
        return Piece(self.start, self.stop, b"".join(self._parts))


def split_lines(stream: ByteStream, offset: int, encoding: Encoding) -> Iterator[Piece]:
    """Every line with its end, blank ones too; together they are the whole stream.

    `offset` is the place of the stream's first byte. Before `UnusableInput` comes every line that
    ends before the damage.
    """
    begun = _Collected(offset)
    for buffer in _buffers(stream, encoding):
        for part in _parts(buffer, encoding):
            ends = _ends_line(part, encoding)
            if ends and begun.stop == begun.start:
                yield Piece(begun.start, begun.start + len(part), part)
                begun = _Collected(begun.start + len(part))
                continue
            begun.add(part)
            if ends:
                yield begun.piece()
                begun = _Collected(begun.stop)
    if begun.stop > begun.start:
        yield begun.piece()


def _buffers(stream: ByteStream, encoding: Encoding) -> Iterator[bytes]:
    """Bytes of whole code units that separate no CR from its LF."""
    width = encoding.unit_bytes
    carriage_return, line_feed = ("\r".encode(encoding.name), "\n".encode(encoding.name))
    ahead = b""
    while buffer := ahead + stream.read(READ_BYTES):
        ahead = b""
        if buffer.endswith(carriage_return):
            try:
                ahead = stream.read(width)
            except UnusableInput:
                yield buffer
                raise
            if ahead == line_feed:
                buffer, ahead = buffer + ahead, b""
        yield buffer


def _parts(buffer: bytes, encoding: Encoding) -> list[bytes]:
    """The buffer cut behind every line end."""
    if encoding.unit_bytes == 1:
        return buffer.splitlines(keepends=True)
    width, order = encoding.unit_bytes, ">" if encoding.name.endswith("be") else "<"
    units = np.frombuffer(buffer[: len(buffer) // width * width], f"{order}u{width}")
    is_feed, is_return = units == ord("\n"), units == ord("\r")
    is_return[:-1] &= ~is_feed[1:]
    ends = ((np.flatnonzero(is_feed | is_return) + 1) * width).tolist()
    return [buffer[a:b] for a, b in pairwise([0, *ends, len(buffer)]) if b > a]


def _ends_line(part: bytes, encoding: Encoding) -> bool:
    if encoding.unit_bytes == 1:
        return part[-1] in b"\r\n"
    end = part[-encoding.unit_bytes :]
    return end in ("\r".encode(encoding.name), "\n".encode(encoding.name))


def split_paragraphs(lines: Iterator[Piece], encoding: Encoding) -> Iterator[Piece]:
    """Runs of lines that are not blank, each as one piece; blank lines belong to none."""
    begun: _Collected | None = None
    for line in lines:
        if line.is_whole and is_blank(line.raw, encoding):
            if begun is not None:
                yield begun.piece()
            begun = None
            continue
        begun = begun or _Collected(line.start)
        begun.add(line.raw)
        begun.stop = line.stop
    if begun is not None:
        yield begun.piece()


def is_blank(raw: bytes, encoding: Encoding) -> bool:
    """True for nothing but white space."""
    if encoding.unit_bytes == 1:
        return not raw.strip()
    return not raw.decode(encoding.name, "replace").strip("\ufeff \t\r\n\v\f")


def whole_stream(stream: ByteStream, offset: int) -> Iterator[Piece]:
    """All of a stream as one piece; none when it is empty or damaged."""
    found = _Collected(offset)
    while buffer := stream.read(READ_BYTES):
        found.add(buffer)
    if found.stop > found.start:
        yield found.piece()


def too_large(piece: Piece) -> UnusableInput:
    """Why a piece that is not whole cannot be used."""
    return UnusableInput(
        "too_large",
        f"{piece.stop - piece.start} bytes, at most {MAX_DOCUMENT_BYTES} fit a document; "
        "cut it, or read text by build.text_unit=line or paragraph",
    )
