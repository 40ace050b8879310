"""Which bytes of an input reading a range needs, and their hash.

Used when inputs are planned, when a range is checked, and when it is fetched from behind a URL. A
fetched range is checked against its hash before it is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xxhash

from pipeline.readers.compression import READ_BYTES, SeekableStream
from pipeline.readers.encodings import HEAD_BYTES
from pipeline.readers.formats import PARQUET, kind_of
from pipeline.readers.parquet_footer import END_BYTES
from pipeline.readers.remote import no_room, opened, temporary_file
from schemas.errors import InputError
from schemas.plan import SourceRange

Span = tuple[int, int]


def needed_spans(name: str, stream: SeekableStream, size: int, span: Span) -> list[Span]:
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


def read_span(stream: SeekableStream, span: Span) -> Iterator[bytes]:
    """The bytes of a span, at most `READ_BYTES` at a time."""
    start, stop = span
    stream.seek(start)
    while start < stop and (found := stream.read(min(stop - start, READ_BYTES))):
        yield found
        start += len(found)


def hash_range(name: str, stream: SeekableStream, size: int, span: Span) -> str:
    """Hex xxh3-128 of everything that reading the range depends on."""
    found = xxhash.xxh3_128()
    for part in needed_spans(name, stream, size, span):
        for piece in read_span(stream, part):
            found.update(piece)
    return found.hexdigest()


def changed_error(file: str | Path, source: SourceRange, found: str) -> InputError:
    """The message for a range that is not what was planned."""
    return InputError(
        f"{file}: bytes {source.start}..{source.stop} have changed since the build was planned "
        f"(xxh3 {found}, planned {source.xxh3}); restore the file, or build into another folder"
    )


@contextmanager
def local_copy(place: str | Path, source: SourceRange) -> Iterator[Path]:
    """A local file that has the bytes which reading `source` needs, at their places.

    A local file stands for itself. Of a URL they are fetched, checked and removed afterwards; what
    lies outside of them is a hole. Raises `InputError` when they are not what was planned, and
    when there is no room for them.
    """
    if isinstance(place, Path):
        yield place
        return
    with temporary_file(place) as local:
        try:
            found = _copy_range(place, source, local)
        except OSError as error:  # of the local file: the URL raises `InputError`
            size = source.stop - source.start
            raise no_room(f"{size} bytes of {place}", error) from error
        if found != source.xxh3:
            raise changed_error(place, source, found)
        yield local


def _copy_range(place: str, source: SourceRange, local: Path) -> str:
    """Fetch what reading `source` needs to its place in `local`; the hash of what was written."""
    span = (source.start, source.stop)
    with opened(place) as (stream, size), local.open("wb+") as copy:
        copy.truncate(size)
        for part in needed_spans(source.path, stream, size, span):
            copy.seek(part[0])
            for piece in read_span(stream, part):
                copy.write(piece)
        return hash_range(source.path, copy, size, span)
