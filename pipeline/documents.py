"""inputs -> documents: every document of a range of an input, or the reason why there is none.

First step of the flow. Offsets count bytes of the decompressed stream, or rows of a table, so that
a document's default id (`<path>#<offset>`) is the same on every machine.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from pipeline.randomness import hash_fraction
from pipeline.readers.compression import decompressed
from pipeline.readers.document_fields import DocumentMaker
from pipeline.readers.encodings import HEAD_BYTES, encoding_of
from pipeline.readers.formats import (
    ARROW,
    PARQUET,
    TAR,
    Format,
    format_of,
    is_splittable,
    kind_of,
)
from pipeline.readers.range_bytes import local_copy
from pipeline.readers.reads import Read, Tally, UnusableInput, bad_input
from pipeline.readers.table_input import Row, read_arrow, read_parquet
from pipeline.readers.tar_input import read_tar
from pipeline.readers.text_input import read_lines, read_stream
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import SourceRange

_TABLES = (PARQUET, ARROW)


def read_documents(
    file: str | Path, source: SourceRange, config: BuildConfig, tally: Tally | None = None
) -> Iterator[Read]:
    """Documents and bad inputs of one range of `file`, in ascending order of their ranges.

    `source.path` is the name that goes into ids and reports. A `file` that is a URL is fetched to
    a temporary file first and checked against `source`; a local one is taken as it is (see
    `check_range`). `tally` is added to. At most one document, or a few rows, are held. Raises
    `InputError` for a file that cannot be opened or has changed, `ConfigError` for an unknown
    encoding, and nothing for bad content.
    """
    reached = 0 if kind_of(source.path) in _TABLES else source.start
    with local_copy(file, source) as local:
        maker = DocumentMaker(source, config, Counter() if tally is None else tally)
        try:
            for read in _read_local(local, source, maker):
                reached = read.stop
                yield read
        except UnusableInput as why:
            yield bad_input(why.reason, source, (reached, reached), b"", why.detail)
        except OSError as error:
            raise InputError(
                f"{file}: cannot be read ({error.strerror}); restore it and run the build again"
            ) from error


def _read_local(file: Path, source: SourceRange, maker: DocumentMaker) -> Iterator[Read]:
    with file.open("rb") as stream:
        head, size = stream.read(HEAD_BYTES), file.stat().st_size
        if not head:
            raise UnusableInput("empty_file", "it has no bytes")
        form = format_of(source.path, head, maker.config)
        if form.kind == PARQUET:
            yield from _read_rows(read_parquet(file, source, _fields(maker)), maker)
        elif is_splittable(source.path, head, maker.config):
            encoding = encoding_of(head, maker.config.encoding)
            part = _Part(stream, source)
            yield from read_lines(form.kind, part, source.start, encoding, maker)
        elif (source.start, source.stop) != (0, size):
            raise InputError(
                f"{file}: {size} bytes, planned with {source.stop}; restore the file, or build "
                "into another folder"
            )
        else:
            yield from _read_whole(file, stream, form, maker)


def _read_whole(
    file: Path, stream: IO[bytes], form: Format, maker: DocumentMaker
) -> Iterator[Read]:
    if form.kind == ARROW:
        yield from _read_rows(read_arrow(file, _fields(maker)), maker)
        return
    stream.seek(0)
    content = decompressed(stream, form.compression) if form.compression else stream
    if form.kind == TAR:
        yield from read_tar(content, maker)
    else:
        yield from read_stream(form.kind, content, 0, maker)


class _Part:
    """The bytes of a range, which ends where a document does."""

    def __init__(self, stream: IO[bytes], source: SourceRange) -> None:
        stream.seek(source.start)
        self._stream, self._left = stream, source.stop - source.start

    def read(self, size: int, /) -> bytes:
        """As `ByteStream` says."""
        out = self._stream.read(min(size, self._left))
        self._left -= len(out)
        return out


def _fields(maker: DocumentMaker) -> tuple[str, ...]:
    """The columns to read, each once."""
    config = maker.config
    names = (config.id_field, config.text_field, config.prompt_field, config.completion_field)
    return tuple(dict.fromkeys((*names, config.language_field)))


def _read_rows(rows: Iterable[Row], maker: DocumentMaker) -> Iterator[Read]:
    for number, found in rows:
        at = (number, number + 1)
        try:
            yield maker.from_fields(at, found)
        except UnusableInput as why:
            strings = (value for value in found.values() if isinstance(value, bytes))
            yield maker.bad(at, b" ".join(strings), why)


def is_heldout(document_id: str, ratio: float) -> bool:
    """True for documents that only the held-out split sees, whatever the seed and the pass."""
    return hash_fraction(document_id, "heldout") < ratio
