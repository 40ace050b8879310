"""inputs -> files and ranges: find them, cut them at document boundaries, hash what was cut.

Stands before the plan. Where a cut falls depends on the input's bytes and the configuration alone,
never on the machine.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import xxhash

from pipeline.readers.compression import SeekableStream
from pipeline.readers.encodings import HEAD_BYTES, Encoding
from pipeline.readers.folders import METADATA, files_of, unread_reasons
from pipeline.readers.formats import PARQUET, SUFFIXES, TEXT, is_splittable, kind_of
from pipeline.readers.lines import is_blank, split_lines
from pipeline.readers.range_bytes import changed_error, hash_range, needed_spans, read_span
from pipeline.readers.remote import opened
from pipeline.readers.table_input import row_group_cuts
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import InputFile, SourceRange

_ANY_OF_ONE_BYTE = Encoding("utf-8")
"""Line ends and blank lines are the same bytes in every encoding that can be cut."""


@dataclass(frozen=True)
class Inputs:
    """Local files or URLs by the relative path that identifies them, sorted.

    `skipped` were found below a folder and not read: (name, reason), sorted.
    """

    files: dict[str, str | Path]
    skipped: tuple[tuple[str, str], ...]

    def skipped_by_reason(self) -> str:
        """For each reason how many were skipped, and the first three of them."""
        groups: dict[str, list[str]] = {}
        for name, reason in self.skipped:
            groups.setdefault(reason, []).append(name if name.isprintable() else ascii(name))
        return "; ".join(
            f"{len(names)} {reason} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for reason, names in sorted(groups.items(), key=lambda group: -len(group[1]))
        )


def find_inputs(places: Sequence[str | Path], output: Path) -> Inputs:
    """The files named, and those of known formats below the folders named but not below `output`.

    A place is a file, a folder, a glob, or a URL of one of them. A file is called by its name, one
    below a folder by its path relative to that folder, one of a glob by its path relative to the
    part without wildcards. Raises `InputError` for a missing place, an unknown format, two inputs
    of one name, one inside `output`, or no input at all.
    """
    files: dict[str, str | Path] = {}
    skipped: set[tuple[str, str]] = set()
    for place in places:
        found = files_of(place, output)
        unread = {} if found.is_file else unread_reasons(found.files)
        for name, file in found.files.items():
            if name not in unread:
                _add(files, name, file)
        skipped |= {one for one in unread.items() if PurePosixPath(one[0]).name not in METADATA}
        skipped |= set(found.skipped.items())
    inputs = Inputs(dict(sorted(files.items())), tuple(sorted(skipped)))
    if not files:
        rest = f"; not read: {inputs.skipped_by_reason()}" if skipped else ""
        raise InputError(
            f"no input files in {', '.join(map(str, places))}; expected names ending in "
            f"{', '.join(SUFFIXES)}{rest}"
        )
    return inputs


def _add(files: dict[str, str | Path], name: str, file: str | Path) -> None:
    if not name.isprintable():
        raise InputError(f"{str(file)!r}: the name of an input must be printable UTF-8 text")
    kind_of(name)
    known = files.setdefault(name, file)
    if _resolved(known) != _resolved(file):
        raise InputError(
            f"inputs {known} and {file} would both be called '{name}'; "
            "put them below one folder and give that folder"
        )


def _resolved(file: str | Path) -> str | Path:
    return file.resolve() if isinstance(file, Path) else file


def cut_ranges(
    name: str, file: str | Path, config: BuildConfig
) -> tuple[InputFile, list[SourceRange]]:
    """Identity of one input and its ranges of about `item_bytes`, each ending with a document.

    A file that cannot be split, an empty one too, is one range. Reads the file once, and a little
    around each cut. Raises `InputError` for a file that cannot be read.
    """
    with opened(file) as (stream, size):
        stops = [*_cuts(name, stream, size, config), size]
        ranges, start = [], 0
        whole = hashlib.sha256()
        for stop in stops:
            part = xxhash.xxh3_128()
            for piece in read_span(stream, (start, stop)):
                whole.update(piece)
                part.update(piece)
            for span in needed_spans(name, stream, size, (start, stop))[1:]:
                for piece in read_span(stream, span):
                    part.update(piece)
            ranges.append(SourceRange(name, start, stop, part.hexdigest()))
            start = stop
        return InputFile(name, size, whole.hexdigest()), ranges


def check_range(file: str | Path, source: SourceRange) -> None:
    """Raise `InputError` unless the bytes of `source` are those that were planned.

    A URL is not looked at: `read_documents` checks the bytes that it fetches.
    """
    if isinstance(file, Path):
        with opened(file) as (stream, size):
            found = hash_range(source.path, stream, size, (source.start, source.stop))
        if found != source.xxh3:
            raise changed_error(file, source, found)


def size_and_sha256(file: str | Path) -> tuple[int, str]:
    """Size in bytes and hex SHA-256 of an input."""
    with opened(file) as (stream, size):
        found = hashlib.sha256()
        for piece in read_span(stream, (0, size)):
            found.update(piece)
        return size, found.hexdigest()


def size_of(file: str | Path) -> int:
    """Size of an input in bytes."""
    with opened(file) as (_, size):
        return size


def _cuts(name: str, stream: SeekableStream, size: int, config: BuildConfig) -> list[int]:
    """Offsets strictly inside the file where a range ends, about `item_bytes` apart."""
    if size <= config.item_bytes:
        return []
    if kind_of(name) == PARQUET:
        return _thinned(row_group_cuts(stream, size), config.item_bytes)
    head = stream.read(HEAD_BYTES)
    if not is_splittable(name, head, config):
        return []
    is_paragraph = kind_of(name) == TEXT and config.text_unit == "paragraph"
    cuts: list[int] = []
    target = config.item_bytes
    while target < size:
        target = _line_end(stream, target, is_paragraph)
        cuts.append(target)
        target += config.item_bytes
    return [cut for cut in cuts if cut < size]


def _thinned(cuts: Sequence[int], item_bytes: int) -> list[int]:
    """The cuts that close at least `item_bytes`."""
    kept: list[int] = []
    for cut in cuts:
        if cut - (kept[-1] if kept else 0) >= item_bytes:
            kept.append(cut)
    return kept


def _line_end(stream: SeekableStream, target: int, by_paragraph: bool) -> int:
    """End of the line that holds byte `target - 1`, or of the first blank line behind it."""
    stream.seek(target - 1)
    lines = split_lines(stream, target - 1, _ANY_OF_ONE_BYTE)
    stop = next(lines).stop
    for line in lines if by_paragraph else ():
        stop = line.stop
        if line.is_whole and is_blank(line.raw, _ANY_OF_ONE_BYTE):
            break
    return stop
