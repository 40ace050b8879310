"""Streams of text and JSON -> documents: files, and members of a tar.

Stands between the decompressed bytes and `document_fields.py`.
"""

from collections.abc import Iterator

from pipeline.readers.compression import ByteStream
from pipeline.readers.document_fields import DocumentMaker
from pipeline.readers.encodings import HEAD_BYTES, Encoding, encoding_of
from pipeline.readers.formats import JSON, TEXT
from pipeline.readers.json_input import JoinedStream, Utf8Stream, parse_object, split_array
from pipeline.readers.lines import (
    Piece,
    is_blank,
    split_lines,
    split_paragraphs,
    too_large,
    whole_stream,
)
from pipeline.readers.reads import Read, UnusableInput


def read_stream(kind: str, stream: ByteStream, offset: int, maker: DocumentMaker) -> Iterator[Read]:
    """Everything in a stream of text or JSON, read from its beginning, which lies at `offset`.

    Raises `UnusableInput` for an empty stream and where damage begins.
    """
    head = stream.read(HEAD_BYTES)
    if not head:
        raise UnusableInput("empty_file", "it has no bytes")
    encoding = encoding_of(head, maker.config.encoding)
    joined = JoinedStream(head, stream)
    if kind == JSON and _begins_array(head, encoding):
        yield from _read_array(joined, offset, encoding, maker)
    else:
        yield from read_lines(kind, joined, offset, encoding, maker)


def read_lines(
    kind: str, stream: ByteStream, offset: int, encoding: Encoding, maker: DocumentMaker
) -> Iterator[Read]:
    """Everything from `offset` on: JSON lines, or text by its unit."""
    if kind != TEXT:
        for piece in split_lines(stream, offset, encoding):
            if not piece.is_whole or not is_blank(piece.raw, encoding):
                yield _json_document(piece, encoding, maker)
        return
    for piece in _text_pieces(stream, offset, encoding, maker.config.text_unit):
        yield _text_document(piece, encoding, maker)


def _text_pieces(stream: ByteStream, offset: int, encoding: Encoding, unit: str) -> Iterator[Piece]:
    if unit == "file":
        return whole_stream(stream, offset)
    lines = split_lines(stream, offset, encoding)
    if unit == "paragraph":
        return split_paragraphs(lines, encoding)
    return (line for line in lines if not line.is_whole or not is_blank(line.raw, encoding))


def _json_document(piece: Piece, encoding: Encoding, maker: DocumentMaker) -> Read:
    try:
        if not piece.is_whole:
            raise too_large(piece)
        fields = parse_object(encoding.decode(piece.raw))
        return maker.from_fields((piece.start, piece.stop), fields)
    except UnusableInput as why:
        return maker.bad_piece(piece, why)


def _text_document(piece: Piece, encoding: Encoding, maker: DocumentMaker) -> Read:
    try:
        if not piece.is_whole:
            raise too_large(piece)
        text = encoding.decode(piece.raw)
        if maker.config.text_unit != "file":
            text = text.rstrip("\r\n")
        return maker.from_text((piece.start, piece.stop), text)
    except UnusableInput as why:
        return maker.bad_piece(piece, why)


def _begins_array(head: bytes, encoding: Encoding) -> bool:
    text = head.decode(encoding.name, "replace")
    return text.lstrip("\ufeff \t\r\n").startswith("[")


def _read_array(
    stream: ByteStream, offset: int, encoding: Encoding, maker: DocumentMaker
) -> Iterator[Read]:
    """The elements of an array; of another encoding than UTF-8 offsets count its UTF-8 form."""
    utf8 = Encoding("utf-8")
    if encoding != utf8:
        stream = Utf8Stream(stream, encoding)
    for piece in split_array(stream, offset):
        yield _json_document(piece, utf8, maker)
