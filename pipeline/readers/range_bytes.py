"""Which bytes of an input reading a range needs, and their hash.

Used when inputs are planned, when a range is checked, and when it is fetched from elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import xxhash

from pipeline.readers.encodings import HEAD_BYTES
from pipeline.readers.formats import PARQUET, kind_of
from pipeline.readers.parquet_footer import END_BYTES
from schemas.errors import InputError
from schemas.plan import SourceRange

BLOCK_BYTES = 2**20
Span = tuple[int, int]


def needed_spans(name: str, stream: IO[bytes], size: int, span: Span) -> list[Span]:
    """`span` itself, then the head and a Parquet footer as far as they lie outside of it.

    Half-open. The head decides the encoding of every range, the footer where row groups are.
    """
    start, stop = span
    spans = [span]
    if start:
        spans.append((0, min(start, HEAD_BYTES)))
    if kind_of(name) == PARQUET and stop < size:
        stream.seek(size - END_BYTES)
        length = int.from_bytes(stream.read(END_BYTES)[:4], "little")
        spans.append((max(stop, size - END_BYTES - length), size))
    return spans


def blocks_of(stream: IO[bytes], span: Span) -> Iterator[bytes]:
    """The bytes of a span, block by block."""
    start, stop = span
    stream.seek(start)
    while start < stop and (block := stream.read(min(stop - start, BLOCK_BYTES))):
        yield block
        start += len(block)


def hash_range(name: str, stream: IO[bytes], size: int, span: Span) -> str:
    """Hex xxh3-128 of everything that reading the range depends on."""
    found = xxhash.xxh3_128()
    for part in needed_spans(name, stream, size, span):
        for block in blocks_of(stream, part):
            found.update(block)
    return found.hexdigest()


def changed_error(file: str | Path, source: SourceRange, found: str) -> InputError:
    """The message for a range that is not what was planned."""
    return InputError(
        f"{file}: bytes {source.start}..{source.stop} have changed since the build was planned "
        f"(xxh3 {found}, planned {source.xxh3}); restore the file, or build into another folder"
    )
