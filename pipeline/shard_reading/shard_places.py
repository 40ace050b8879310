"""Where the files of a data set are opened: its own folder, or copies of what lies elsewhere.

Stands below the readers of rows, which ask for a file by its name and hashes.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import StoredFile

T = TypeVar("T")


class ShardPlace(Protocol):
    """The files of one data set as local files. One thread at a time may use it.

    `are_copies` says whether they are copies of what lies elsewhere, which may go while they are
    in use, and take room for as long as they are open.
    """

    are_copies: bool

    def path(self, stored: StoredFile) -> Path:
        """The file on a local disk, fetched first where it is elsewhere.

        Nothing is promised of its bytes: whoever reads them verifies them against
        `stored.hashes`. `DatasetError` for a name that leads out of the data set,
        `BlankstreamError` for what cannot be fetched.
        """

    def set_aside(self, stored: StoredFile, error: CorruptDataError) -> bool:
        """Quarantine a copy that was found damaged; whether asking for `path` again may help.

        False where the file is the data set's own, or was fetched damaged too often.
        """

    def ahead(self, wanted: Sequence[StoredFile]) -> None:
        """What will be asked for next, the soonest first; replaces what was said before."""

    def interrupt(self) -> None:
        """From any thread: whoever waits in `path` gives up with `StorageError`, as does who calls
        it, until `proceed`."""

    def proceed(self) -> None:
        """Let `path` wait again."""

    def close(self) -> None:
        """Stop what is fetched ahead; files that are open stay readable."""


class LocalPlace:
    """The data set in `folder`, wherever the process goes; nothing is fetched or set aside."""

    are_copies = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._inside: set[str] = set()

    def path(self, stored: StoredFile) -> Path:
        """The file itself, whether it is there or not.

        Folders are resolved once: a file is opened again thousands of times a second where there
        are more shards than may be open.
        """
        path = self.folder / stored.path
        parent, _, name = stored.path.rpartition("/")
        is_plain = name not in ("", ".", "..") and "\0" not in name
        if not is_plain or parent not in self._inside or os.path.islink(path):
            checked_path(self.folder, stored.path)
            checked_path(self.folder, parent)
            self._inside.add(parent)
        return path

    def set_aside(self, stored: StoredFile, error: CorruptDataError) -> bool:
        """False: only `blankstream repair` touches a data set."""
        return False

    def ahead(self, wanted: Sequence[StoredFile]) -> None:
        """Nothing: the files are here."""

    def interrupt(self) -> None:
        """Nothing: nobody waits."""

    def proceed(self) -> None:
        """Nothing: nobody was interrupted."""

    def close(self) -> None:
        """Nothing is open."""


def open_stored(place: ShardPlace, stored: StoredFile, read: Callable[[Path], T]) -> T:
    """What `read` makes of the local file; again, as long as `place` has another copy of it.

    Raises what `read` and the place raise, `CorruptDataError` when all copies are damaged.
    """
    while True:
        path = place.path(stored)
        try:
            return read(path)
        except CorruptDataError as error:
            if not place.set_aside(stored, error):
                raise


def checked_path(folder: Path, name: str) -> Path:
    """The file `name` of the data set in `folder`; `DatasetError` for one that lies outside."""
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links that lead in a circle, a NUL
        inside = False
    if not inside or Path(name).is_absolute() or ".." in Path(name).parts:
        raise DatasetError(
            f"{folder}: its shard table names {name!r}, which lies outside the data set; take the "
            "data set from a source you trust"
        )
    return path
