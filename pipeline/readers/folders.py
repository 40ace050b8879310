"""Places -> the files that they stand for, by the names that identify them.

First step of `inputs.py`: files, folders, globs, URLs, and folders that `save_to_disk` of Hugging
Face datasets wrote.
"""

import errno
import json
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pipeline.readers.formats import SUFFIXES
from pipeline.readers.remote import is_glob, is_remote_file, is_url, list_url, opened
from schemas.errors import InputError
from schemas.names import MANIFEST_NAME, PLAN_NAME

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
METADATA = (_STATE, _INFO, _SPLITS)
"""Files in which a saved data set speaks of itself."""

_MAX_JSON_BYTES = 16 * 2**20
_OF_A_MANIFEST = {"digest", "schema_version", "row_format"}

_UNKNOWN, _UNNAMED = "of no known format", f"not named by {_STATE}"
_DATA_SET, _LOOP, _INSIDE = "a data set", "a link to a folder above it", "a link into --output"
_DANGLING = "a dangling link"
_SPECIAL: Sequence[tuple[Callable[[int], bool], str]] = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


@dataclass
class Found:
    """Files by name, and by name why others were not taken; `is_file` when a file was named."""

    files: dict[str, str | Path] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    is_file: bool = False


def files_of(place: str | Path, output: Path) -> Found:
    """What `place` stands for, without `output` and without data sets.

    A file is called by its name, one below a folder by its path relative to it, one of a glob by
    its path relative to the part without wildcards. Links are followed, but into no folder that the
    way there has already passed. Hidden files below a folder are left out. Raises `InputError` for
    a missing place and for one inside `output`.
    """
    if is_url(place):
        url = str(place)
        if urlsplit(url).scheme != "file":
            return _remote(url)
        place = unquote(urlsplit(url).path)
    if not str(place):
        raise InputError("--input is empty; give a file, a folder, a glob or a URL")
    path = Path(place)
    if path.exists():
        _check_outside(path, output)
        if path.is_file():
            return Found({path.name: path}, is_file=True)
        if not path.is_dir():
            raise InputError(
                f"{path}: neither a regular file nor a folder; save it as a file first"
            )
        return _Walk(path, output).walked(())
    if has_magic(str(path)):
        fixed = list(_before_magic(path.parts))
        _check_outside(Path(*fixed), output)
        return _Walk(Path(*fixed), output).walked(path.parts[len(fixed) :])
    raise InputError(f"{path}: no such file or folder; check --input")


def _check_outside(path: Path, output: Path) -> None:
    real, inside = path.resolve(), output.resolve()
    if real == inside:
        raise InputError(f"{path}: is both --input and --output; give another folder as --output")
    if real.is_relative_to(inside):
        raise InputError(f"{path}: lies inside --output {output}; give another folder as --output")


def _before_magic(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if has_magic(part):
            return
        yield part


class _Walk:
    """Collects the files of one local folder, named from there."""

    def __init__(self, root: Path, output: Path) -> None:
        self._root, self._output = root, output.resolve()
        self._found = Found()

    def walked(self, pattern: tuple[str, ...]) -> Found:
        """What fits `pattern`, one part a level; everything where it is empty."""
        pattern = tuple(
            part for n, part in enumerate(pattern) if pattern[n : n + 2] != ("**", "**")
        )
        try:
            if self._root.is_dir():
                self._enter(self._root, pattern, ())
        except OSError as error:
            raise InputError(
                f"{error.filename}: cannot be read ({error.strerror}); check its permissions, or "
                "take it out of --input"
            ) from error
        return self._found

    def _enter(self, folder: Path, pattern: tuple[str, ...], above: tuple[Path, ...]) -> None:
        real = folder.resolve()
        if real == self._output:
            return
        if real in above:
            self._skip(folder, _LOOP)
        elif real.is_relative_to(self._output):
            self._skip(folder, _INSIDE)
        elif _is_dataset(folder / MANIFEST_NAME, folder / PLAN_NAME):
            self._skip(folder, _DATA_SET)
        else:
            for path in sorted(folder.iterdir()):
                if not path.name.startswith("."):
                    for rest in _rests(pattern, path.name):
                        self._take(path, rest, (*above, real))

    def _take(self, path: Path, pattern: tuple[str, ...], above: tuple[Path, ...]) -> None:
        kind = _kind(path)
        if kind == "folder":
            self._enter(path, pattern, above)
        elif pattern:
            return
        elif kind != "file":
            self._skip(path, kind)
        elif path.is_symlink() and path.resolve().is_relative_to(self._output):
            self._skip(path, _INSIDE)
        else:
            self._found.files[path.relative_to(self._root).as_posix()] = path

    def _skip(self, path: Path, reason: str) -> None:
        name = str(path) if path == self._root else path.relative_to(self._root).as_posix()
        self._found.skipped[name] = reason


def _rests(pattern: tuple[str, ...], name: str) -> Iterator[tuple[str, ...]]:
    """What is left of `pattern` below an entry called `name`; nothing where it does not fit."""
    if not pattern:
        yield ()
    elif pattern[0] == "**":
        yield pattern
        yield from _rests(pattern[1:], name)
    elif fnmatchcase(name, pattern[0]):
        yield pattern[1:]


def _kind(path: Path) -> str:
    """`file`, `folder`, or why it is neither."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return _DANGLING
        raise
    if stat.S_ISDIR(mode):
        return "folder"
    return next((what for is_kind, what in _SPECIAL if is_kind(mode)), "file")


def _remote(url: str) -> Found:
    files = list_url(url)
    found = Found(dict(files), is_file=list(files.values()) == [url])
    if found.is_file:
        return found
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    inside = [folder for folder in sorted(folders) if _is_remote_dataset(url, files, folder)]
    for name in files:
        parents = [str(parent) for parent in PurePosixPath(name).parents]
        if within := [parent for parent in reversed(parents) if parent in inside]:
            del found.files[name]
            found.skipped[url if within[0] == "." else within[0]] = _DATA_SET
    return found


def _is_remote_dataset(url: str, files: Mapping[str, str], folder: str) -> bool:
    first = next(iter(files))
    base = files[first].removesuffix(first)
    places = []
    for wanted in (MANIFEST_NAME, PLAN_NAME):
        name = str(PurePosixPath(folder, wanted))
        if name not in files and not (is_glob(url) and is_remote_file(base + name)):
            return False
        places.append(files.get(name, base + name))
    return _is_dataset(*places)


def _is_dataset(manifest: str | Path, plan: str | Path) -> bool:
    """Whether a folder with these two files is a finished data set of ours."""
    if isinstance(manifest, Path) and not (manifest.is_file() and Path(plan).is_file()):
        return False
    with opened(manifest) as (stream, _):
        raw = stream.read(_MAX_JSON_BYTES)
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() >= _OF_A_MANIFEST


def unread_reasons(found: Mapping[str, str | Path]) -> dict[str, str]:
    """By name why files below a folder are no input: other formats, and what a saved data set says
    of itself or keeps beside its data. Raises `InputError` for a saved data set that lacks data."""
    unread = {name: _UNKNOWN for name in found if not name.lower().endswith(SUFFIXES)}
    for name, file in found.items():
        folder, last = str(PurePosixPath(name).parent), PurePosixPath(name).name
        if last == _SPLITS:
            unread[name] = _UNNAMED
        if last == _STATE and (info := str(PurePosixPath(folder, _INFO))) in found:
            listed = {str(PurePosixPath(folder, part)) for part in _data_files(file)}
            if missing := sorted(listed - found.keys()):
                raise InputError(f"{file}: names {missing[0]}, which is missing; restore it")
            beside = {other for other in found if str(PurePosixPath(other).parent) == folder}
            others = {other for other in beside - listed if other.endswith(".arrow")}
            unread |= dict.fromkeys({name, info} | others, _UNNAMED)
    return unread


def _data_files(state: str | Path) -> list[str]:
    """File names in the `state.json` that `save_to_disk` of Hugging Face datasets writes."""
    with opened(state) as (stream, _):
        raw = stream.read(_MAX_JSON_BYTES)
    try:
        return [str(file["filename"]) for file in json.loads(raw)["_data_files"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{state}: not the state of a saved data set ({type(error).__name__}: {error}); "
            "restore it, or give its data files one by one"
        ) from error
