"""inputs -> plan: find the files, cut them into slices at document boundaries, hash what was cut.

Stands before the executors. Where a cut falls depends on the input's bytes and `build.item_bytes`
alone, never on the machine.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from pipeline.documents import SUFFIXES, format_of, is_splittable
from schemas.build_config import BuildConfig
from schemas.config import to_mapping
from schemas.errors import InputError
from schemas.plan import InputFile, Plan, SourceRange
from schemas.samples import SCHEMA_VERSION

_READ_BYTES = 1 << 20

RECIPE_LIBRARIES = ("nltk", "sentencepiece", "pyarrow")
"""Libraries whose version can change bytes; the recipe holds their major and minor version."""

_NOT_IN_RECIPE = ("passes", "item_bytes", "max_bad_ratio", "tokenizer", "splitter")


@dataclass(frozen=True)
class Inputs:
    """Input files by the relative path that identifies them, sorted; `skipped` were not read."""

    files: dict[str, Path]
    skipped: tuple[str, ...]


def find_inputs(paths: Sequence[Path], output: Path) -> Inputs:
    """The files named, and those of known formats below the folders named but not below `output`.

    A file is called by its name, one below a folder by its path relative to that folder. Raises
    `InputError` for a missing path, an unknown format, two inputs of one name, or no input at all.
    """
    files: dict[str, Path] = {}
    skipped: list[str] = []
    for path in paths:
        for name, file in _named(path):
            if path.is_dir() and file.resolve().is_relative_to(output.resolve()):
                continue
            if path.is_dir() and not name.lower().endswith(SUFFIXES):
                skipped.append(name)
                continue
            format_of(name)
            if files.setdefault(name, file).resolve() != file.resolve():
                raise InputError(
                    f"inputs {files[name]} and {file} would both be called '{name}'; "
                    "put them below one folder and give that folder"
                )
    if not files:
        raise InputError(
            f"no input files in {', '.join(map(str, paths))}; expected names ending in "
            f"{', '.join(SUFFIXES)}"
        )
    return Inputs(dict(sorted(files.items())), tuple(sorted(skipped)))


def _named(path: Path) -> Iterator[tuple[str, Path]]:
    """(name, file) of each input that `path` stands for."""
    for name, file in _found(path):
        if not name.isprintable():
            raise InputError(f"{str(file)!r}: the name of an input must be printable UTF-8 text")
        yield name, file


def _found(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            if file.is_file() and not any(part.startswith(".") for part in relative.parts):
                yield relative.as_posix(), file
    elif path.is_file():
        yield path.name, path
    elif path.exists():
        raise InputError(f"{path}: neither a regular file nor a folder; save it as a file first")
    else:
        raise InputError(f"{path}: no such file or folder; check --input")


def cut_ranges(name: str, file: Path, item_bytes: int) -> tuple[InputFile, list[SourceRange]]:
    """Identity of one input and its ranges of about `item_bytes`, each ending with a document.

    A file that cannot be split is one range; an empty file has none. Reads the file once.
    """
    try:
        with file.open("rb") as stream:
            size = file.stat().st_size
            stops = _stops(stream, size, item_bytes) if is_splittable(name) else [size]
            stream.seek(0)
            whole, start, ranges = hashlib.sha256(), 0, []
            for stop in stops if size else []:
                part = xxhash.xxh3_128()
                for block in _blocks(stream, stop - start):
                    whole.update(block)
                    part.update(block)
                ranges.append(SourceRange(name, start, stop, part.hexdigest()))
                start = stop
            return InputFile(name, size, whole.hexdigest()), ranges
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error


def check_range(file: Path, source: SourceRange) -> None:
    """Raise `InputError` unless the bytes of `source` are those that were planned."""
    try:
        with file.open("rb") as stream:
            stream.seek(source.start)
            found = xxhash.xxh3_128()
            for block in _blocks(stream, source.stop - source.start):
                found.update(block)
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read ({error.strerror}); restore it and run the build again"
        ) from error
    if found.hexdigest() != source.xxh3:
        raise InputError(
            f"{file}: bytes {source.start}..{source.stop} have changed since the build was planned "
            f"(xxh3 {found.hexdigest()}, planned {source.xxh3}); restore the file, or build into "
            "another folder"
        )


def _blocks(stream: Any, length: int) -> Iterator[bytes]:
    while length and (block := stream.read(min(length, _READ_BYTES))):
        yield block
        length -= len(block)


def _stops(stream: Any, size: int, item_bytes: int) -> list[int]:
    """Ends of the lines that hold the bytes item_bytes, 2 x item_bytes, ..., then `size`."""
    stops: list[int] = []
    target = item_bytes
    while target < size:
        stream.seek(target - 1)
        while block := stream.readline(_READ_BYTES):
            if block.endswith(b"\n"):
                break
        stops.append(stream.tell())
        target = stops[-1] + item_bytes
    return [stop for stop in stops if stop < size] + [size]


def group_ranges(ranges: Iterable[SourceRange], item_bytes: int) -> list[tuple[SourceRange, ...]]:
    """Consecutive ranges joined until a slice holds at least half of `item_bytes`."""
    groups: list[tuple[SourceRange, ...]] = []
    group: list[SourceRange] = []
    size = 0
    for source in ranges:
        group.append(source)
        size += source.stop - source.start
        if size * 2 >= item_bytes:
            groups.append(tuple(group))
            group, size = [], 0
    return groups + ([tuple(group)] if group else [])


def build_recipe(
    config: BuildConfig, tokenizer: dict[str, Any], splitter_digest: str, versions: dict[str, str]
) -> dict[str, Any]:
    """Everything that decides an item's bytes beside the item itself.

    `tokenizer` is `Tokenizer.describe()`; `versions` names the installed `RECIPE_LIBRARIES`.
    """
    build = {key: value for key, value in to_mapping(config).items() if key not in _NOT_IN_RECIPE}
    return {
        "schema_version": SCHEMA_VERSION,
        "build": build,
        "tokenizer": tokenizer,
        "splitter_sha256": splitter_digest,
        "libraries": {
            name: ".".join(versions[name].split(".")[:2]) for name in sorted(RECIPE_LIBRARIES)
        },
    }


def check_planned(plan: Plan, inputs: Inputs) -> None:
    """Raise `InputError` for an input given again whose content is not what was planned."""
    for known in plan.inputs:
        file = inputs.files.get(known.path)
        if file is None:
            continue
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != known.sha256:
            raise InputError(
                f"{file}: changed since it was planned (SHA-256 {found}, planned {known.sha256}); "
                "restore it, or build into another folder"
            )


def new_inputs(plan: Plan, inputs: Inputs) -> dict[str, Path]:
    """Inputs that the plan does not have; `InputError` when a planned one changed its size."""
    planned = {known.path: known for known in plan.inputs}
    for name, file in inputs.files.items():
        if name in planned and file.stat().st_size != planned[name].bytes:
            raise InputError(
                f"{file}: {file.stat().st_size} bytes, but '{name}' was planned with "
                f"{planned[name].bytes}; a planned input must not change: restore it, give new "
                "text as a new file, or build into another folder"
            )
    return {name: file for name, file in inputs.files.items() if name not in planned}
