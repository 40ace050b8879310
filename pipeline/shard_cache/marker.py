"""The marker that makes a folder a cache: nothing is ever deleted in one that has none.

Stands below `folder.py`.
"""

import errno
import json
import os
from pathlib import Path

from pipeline.shard_cache.contents import FOLDERS, is_bare
from pipeline.shard_cache.locks import Pause, locked_folder
from schemas.errors import StorageError, UserError
from schemas.sealed import read_regular
from schemas.storage import TEMPORARY_MARK, commit_text

MARKER_NAME = "blankstream-cache.json"
VERSION = 1

_CONTENT = {"about": "a cache of blankstream; its files may be deleted", "version": VERSION}
_OF_DISKS = "lost+found"


def check_folder(folder: Path, pause: Pause) -> None:
    """Make `folder` a cache unless it is one; `pause` while others do.

    `UserError` when it holds something else, was made by another release, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked_folder(folder, pause):
            if is_marked(folder):
                _check_version(folder)
            else:
                _check_empty(folder)
                commit_text(folder / MARKER_NAME, json.dumps(_CONTENT) + "\n")
            for name in FOLDERS:
                _make_folder(folder / name)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be used as a cache ({error.strerror}); choose a folder on a local "
            "disk that you may write to"
        ) from error


def is_marked(folder: Path) -> bool:
    """Whether the folder has the marker of a cache."""
    return (folder / MARKER_NAME).is_file()


def check_marked(folder: Path) -> None:
    """Raise `StorageError` where the folder is no cache any more."""
    if not is_marked(folder):
        why = "its marker is missing" if folder.is_dir() else os.strerror(errno.ENOENT)
        raise StorageError(
            f"{folder}: is no cache any more ({why}); leave the folder alone while it is in use, "
            "and run the same command again"
        )


def make_below(folder: Path, path: Path) -> None:
    """Make the folder `path`, which is two levels below the cache `folder`.

    `StorageError` where that is no cache any more: what was removed is not made again, lest it be
    refused as the folder of something else.
    """
    check_marked(folder)
    for one in (path.parent, path):
        one.mkdir(exist_ok=True)


def _check_empty(folder: Path) -> None:
    """A marker that was never finished does not count, nor what a file system puts there, nor what
    is left of a cache that was removed while others made locks in it."""
    unfinished = f"{MARKER_NAME}{TEMPORARY_MARK}"
    found = [one for one in folder.iterdir() if not one.name.startswith(unfinished)]
    foreign = sorted(one.name for one in found if one.name != _OF_DISKS and not is_bare(one))
    if foreign:
        is_rest = not set(foreign).difference(FOLDERS)
        rest = "; if this is what is left of a cache that was removed, remove it too" * is_rest
        raise UserError(
            f"{folder}: holds {foreign[0]!r} and is no cache (it has no {MARKER_NAME}); a cache "
            f"needs a folder of its own, which may be missing or empty{rest}"
        )


def _check_version(folder: Path) -> None:
    place = folder / MARKER_NAME
    try:
        version = json.loads(read_regular(place))["version"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(
            f"{place}: is not what this project writes ({type(error).__name__}); if the folder is "
            "a cache, delete it and let it be made again"
        ) from error
    if version != VERSION:
        raise UserError(
            f"{place}: version {version!r}, this release uses {VERSION}; choose another folder for "
            "the cache, or delete this one"
        )


def _make_folder(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        raise UserError(
            f"{folder}: a link, expected a folder; remove the link, or let the cache be another "
            "folder altogether"
        )
