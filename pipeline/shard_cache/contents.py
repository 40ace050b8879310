"""What a cache folder holds: the names of its files, and one look at all of them.

Stands below `folder.py`. Whatever has another name, or is a link, is not the cache's: it is neither
counted nor touched.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

OBJECTS, LOCKS, DRAFTS, QUARANTINE = "objects", "locks", "drafts", "quarantine"
FOLDERS = (OBJECTS, LOCKS, DRAFTS, QUARANTINE)

_PART = re.compile(r"[0-9a-f]{2}")
_OBJECT = re.compile(r"[0-9a-f]{64}")
_DRAFT = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}")
_ASIDE = re.compile(r"[0-9a-f]{64}-[0-9]{1,9}")
_GONE = (FileNotFoundError, NotADirectoryError)


class Found(NamedTuple):
    """A file of the cache: what its name begins with, its size, when it was last changed (ns), and
    where it is. There may be tens of thousands, which are looked at under a lock."""

    sha256: str
    bytes: int
    changed_ns: int
    place: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.place)


@dataclass(frozen=True)
class Contents:
    """Every file of a cache that takes room; those set aside in order of time."""

    drafts: list[Found] = field(default_factory=list)
    objects: list[Found] = field(default_factory=list)
    aside: list[Found] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Of all files together, those being fetched at their full size."""
        return sum(one.bytes for one in (*self.drafts, *self.objects, *self.aside))


def object_path(folder: Path, sha256: str) -> Path:
    """The file with the content `sha256`."""
    return folder / OBJECTS / sha256[:2] / sha256


def lock_path(folder: Path, sha256: str) -> Path:
    """An empty file that is locked while `sha256` is fetched, and changed when it is used."""
    return folder / LOCKS / sha256[:2] / sha256


def draft_path(folder: Path, sha256: str, number: str) -> Path:
    """A file that is being fetched; `number` has 16 hexadecimal digits."""
    return folder / DRAFTS / f"{sha256}.{number}"


def aside_path(folder: Path, sha256: str, number: int) -> Path:
    """A damaged copy; its note has `.json` behind the name."""
    return folder / QUARANTINE / f"{sha256}-{number}"


def look(folder: Path) -> Contents:
    """What the cache in `folder` holds.

    Drafts are looked at first, so that one that is committed meanwhile is not missed.
    """
    drafts = look_at_drafts(folder)
    objects = {
        one.sha256: one
        for part in _parts(folder / OBJECTS)
        for one in _files(part, _OBJECT)
        if one.sha256[:2] == part.name
    }
    aside = sorted(_files(folder / QUARANTINE, _ASIDE), key=lambda one: one.changed_ns)
    drafts = [one for one in drafts if one.sha256 not in objects]
    return Contents(drafts, list(objects.values()), aside)


def look_at_drafts(folder: Path) -> list[Found]:
    """What is being fetched, or was when its process died."""
    return list(_files(folder / DRAFTS, _DRAFT))


def is_bare(path: Path) -> bool:
    """Whether `path` is a folder of a cache without content: in it are only folders of the cache,
    and in these empty files with names of its own, as locks are."""
    return path.name in FOLDERS and _is_folder(path) and all(map(_is_bare_part, path.iterdir()))


def _is_bare_part(path: Path) -> bool:
    is_part = _PART.fullmatch(path.name) and _is_folder(path)
    return bool(is_part) and all(map(_is_empty_file, path.iterdir()))


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _is_empty_file(path: Path) -> bool:
    status = path.lstat()
    return bool(
        _OBJECT.fullmatch(path.name) and stat.S_ISREG(status.st_mode) and not status.st_size
    )


def _parts(folder: Path) -> Iterator[Path]:
    """The folders in `folder`, in no fixed order; none when it is a link."""
    with suppress(*_GONE):
        if folder.is_symlink():
            return
        with os.scandir(folder) as entries:
            yield from (Path(one.path) for one in entries if one.is_dir(follow_symlinks=False))


def _files(folder: Path, names: re.Pattern[str]) -> Iterator[Found]:
    """The regular files of such names in `folder`; one that goes meanwhile is none."""
    with suppress(*_GONE):
        if folder.is_symlink():
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if names.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    with suppress(*_GONE):
                        status = entry.stat(follow_symlinks=False)
                        sha256, size = entry.name[:64], status.st_size
                        yield Found(sha256, size, status.st_mtime_ns, entry.path)
