"""inputs -> files and ranges: find them, cut them at document boundaries, hash what was cut.

Stands before the plan. Where a cut falls depends on the input's bytes and the configuration alone,
never on the machine.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit

import xxhash

from pipeline.readers.encodings import HEAD_BYTES, Encoding
from pipeline.readers.formats import PARQUET, SUFFIXES, TEXT, is_splittable, kind_of
from pipeline.readers.lines import is_blank, split_lines
from pipeline.readers.range_bytes import blocks_of, changed_error, hash_range, needed_spans
from pipeline.readers.remote import is_url, list_url, opened
from pipeline.readers.table_input import row_group_cuts
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import InputFile, SourceRange

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
_METADATA = (_STATE, _INFO, _SPLITS)
_MAX_STATE_BYTES = 16 * 2**20
_ANY_OF_ONE_BYTE = Encoding("utf-8")
"""Line ends and blank lines are the same bytes in every encoding that can be cut."""


@dataclass(frozen=True)
class Inputs:
    """Local files or URLs by the relative path that identifies them, sorted.

    `skipped` were found below a folder and not read.
    """

    files: dict[str, str | Path]
    skipped: tuple[str, ...]


def find_inputs(places: Sequence[str | Path], output: Path) -> Inputs:
    """The files named, and those of known formats below the folders named but not below `output`.

    A place is a file, a folder, a glob, or a URL of one of them. A file is called by its name, one
    below a folder by its path relative to that folder, one of a glob by its path relative to the
    part without wildcards. Raises `InputError` for a missing place, an unknown format, two inputs
    of one name, or no input at all.
    """
    files: dict[str, str | Path] = {}
    skipped: list[str] = []
    for place in places:
        found, is_file = _found(place)
        found = {name: file for name, file in found.items() if not _is_below(file, output)}
        unread = [] if is_file else _unread(found)
        skipped += [name for name in unread if PurePosixPath(name).name not in _METADATA]
        for name, file in found.items():
            if name not in unread:
                _add(files, name, file)
    if not files:
        raise InputError(
            f"no input files in {', '.join(map(str, places))}; expected names ending in "
            f"{', '.join(SUFFIXES)}"
        )
    return Inputs(dict(sorted(files.items())), tuple(sorted(skipped)))


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


def _is_below(file: str | Path, output: Path) -> bool:
    return isinstance(file, Path) and file.resolve().is_relative_to(output.resolve())


def _found(place: str | Path) -> tuple[dict[str, str | Path], bool]:
    """(file by name, whether `place` is one file)."""
    if is_url(place):
        url = str(place)
        if urlsplit(url).scheme != "file":
            remote = list_url(url)
            return dict(remote.items()), list(remote.values()) == [url]
        place = unquote(urlsplit(url).path)
    path = Path(place)
    if path.is_file():
        return {path.name: path}, True
    if path.is_dir():
        return dict(_walk(path, [path])), False
    if path.exists():
        raise InputError(f"{path}: neither a regular file nor a folder; save it as a file first")
    if has_magic(str(path)):
        fixed = list(_before_magic(path.parts))
        root = Path(*fixed)
        return dict(_walk(root, sorted(root.glob("/".join(path.parts[len(fixed) :]))))), False
    raise InputError(f"{path}: no such file or folder; check --input")


def _before_magic(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if has_magic(part):
            return
        yield part


def _walk(root: Path, places: Sequence[Path]) -> Iterator[tuple[str, str | Path]]:
    """Files among `places` and below them, named from `root`; hidden ones are left out."""
    for place in places:
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            relative = file.relative_to(root)
            if file.is_file() and not any(part.startswith(".") for part in relative.parts):
                yield relative.as_posix(), file


def _unread(found: dict[str, str | Path]) -> set[str]:
    """Names below a folder that are no input: other formats, and what a saved data set says
    of itself or keeps beside its data."""
    unread = {name for name in found if not name.lower().endswith(SUFFIXES)}
    for name, file in found.items():
        folder, last = str(PurePosixPath(name).parent), PurePosixPath(name).name
        if last == _SPLITS:
            unread.add(name)
        if last == _STATE and str(PurePosixPath(folder, _INFO)) in found:
            unread |= {name, str(PurePosixPath(folder, _INFO))}
            listed = {str(PurePosixPath(folder, part)) for part in _data_files(file)}
            if missing := sorted(listed - found.keys()):
                raise InputError(f"{file}: names {missing[0]}, which is missing; restore it")
            beside = {other for other in found if str(PurePosixPath(other).parent) == folder}
            unread |= {other for other in beside - listed if other.endswith(".arrow")}
    return unread


def _data_files(state: str | Path) -> list[str]:
    """File names in the `state.json` that `save_to_disk` of Hugging Face datasets writes."""
    with opened(state) as (stream, _):
        raw = stream.read(_MAX_STATE_BYTES)
    try:
        return [str(file["filename"]) for file in json.loads(raw)["_data_files"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{state}: not the state of a saved data set ({type(error).__name__}: {error}); "
            "restore it, or give its data files one by one"
        ) from error


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
            for block in blocks_of(stream, (start, stop)):
                whole.update(block)
                part.update(block)
            for span in needed_spans(name, stream, size, (start, stop))[1:]:
                for block in blocks_of(stream, span):
                    part.update(block)
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
        for block in blocks_of(stream, (0, size)):
            found.update(block)
        return size, found.hexdigest()


def size_of(file: str | Path) -> int:
    """Size of an input in bytes."""
    with opened(file) as (_, size):
        return size


def _cuts(name: str, stream: IO[bytes], size: int, config: BuildConfig) -> list[int]:
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


def _line_end(stream: IO[bytes], target: int, by_paragraph: bool) -> int:
    """End of the line that holds byte `target - 1`, or of the first blank line behind it."""
    stream.seek(target - 1)
    lines = split_lines(stream, target - 1, _ANY_OF_ONE_BYTE)
    stop = next(lines).stop
    for line in lines if by_paragraph else ():
        stop = line.stop
        if line.is_whole and is_blank(line.raw, _ANY_OF_ONE_BYTE):
            break
    return stop
