"""Places -> the files that they stand for, by the names that identify them.

First step of `inputs.py`: files, folders, globs, URLs, and folders that `save_to_disk` of Hugging
Face datasets wrote.
"""

import json
from collections.abc import Iterator, Sequence
from glob import has_magic
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pipeline.readers.formats import SUFFIXES
from pipeline.readers.remote import is_url, list_url, opened
from schemas.errors import InputError

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
METADATA = (_STATE, _INFO, _SPLITS)
"""Files in which a saved data set speaks of itself."""

_MAX_STATE_BYTES = 16 * 2**20


def files_of(place: str | Path) -> tuple[dict[str, str | Path], bool]:
    """(file by name, whether `place` is one file). Raises `InputError` for a missing place.

    A file is called by its name, one below a folder by its path relative to it, one of a glob by
    its path relative to the part without wildcards. Hidden files below a folder are left out.
    """
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


def unread_names(found: dict[str, str | Path]) -> set[str]:
    """Names below a folder that are no input: other formats, and what a saved data set says
    of itself or keeps beside its data. Raises `InputError` for a saved data set that lacks data."""
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
