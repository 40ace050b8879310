"""A data set seen through a folder of changes: what is written goes there, the data set stays.

Used to try out what a build would do. One of three kinds of `Store`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.stores.local import LocalStore
from pipeline.stores.stopping import NEVER, Stop
from pipeline.stores.store import Draft, Store


class OverlayStore:
    """The files of `base`, and over them those of `changes`; nothing is ever written to `base`.

    Names for people are those of `base`. Only what was written here can be removed.
    """

    def __init__(self, base: Store, changes: LocalStore) -> None:
        self._base, self._changes = base, changes

    @property
    def place(self) -> str:
        """Path or URL of the data set."""
        return self._base.place

    def where(self, name: str) -> str:
        """Path or URL that the file `name` has, or would have, in the data set."""
        return self._base.where(name)

    def read(self, name: str) -> bytes:
        """Content of a file; `FileNotFoundError` when there is none in either."""
        return self._holder(name).read(name)

    def pieces(self, name: str, stop: Stop = NEVER) -> Iterator[bytes]:
        """Content of a file, piece by piece; `FileNotFoundError` when there is none in either."""
        return self._holder(name).pieces(name, stop)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when there is none in either."""
        return self._holder(name).size(name)

    def files(self, folder: str) -> dict[str, int]:
        """Bytes by name of the files directly in `folder`, sorted, temporary ones left out."""
        found = self._base.files(folder) | self._changes.files(folder)
        return dict(sorted(found.items()))

    def every_file(self) -> Iterator[tuple[str, int]]:
        """Name and bytes of every file, each name once, in no fixed order."""
        changed = dict(self._changes.every_file())
        yield from changed.items()
        yield from (one for one in self._base.every_file() if one[0] not in changed)

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file among the changes."""
        self._changes.replace(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file among the changes, unless there is one in either."""
        return self._base.size(name) is None and self._changes.create(name, content)

    def draft(self, folder: str) -> AbstractContextManager[Draft]:
        """A draft that will be committed among the changes."""
        return self._changes.draft(folder)

    def local(self, name: str) -> AbstractContextManager[Path]:
        """The file on a local disk; `FileNotFoundError` when there is none in either."""
        return self._holder(name).local(name)

    def remove(self, name: str) -> None:
        """Delete a file that was written here."""
        assert self._base.size(name) is None, f"{name} is a file of the data set itself"
        self._changes.remove(name)

    def remove_leftovers(self) -> int:
        """Delete what killed writers left among the changes; how many files that were."""
        return self._changes.remove_leftovers()

    def _holder(self, name: str) -> Store:
        return self._base if self._changes.size(name) is None else self._changes
