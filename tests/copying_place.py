"""A place whose files are copies: what a cache in front of a URL promises, without the network."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import CorruptDataError
from schemas.manifest import StoredFile


class CopyingPlace:
    """The data set in `source`, as copies in `copies` that are made when they are asked for.

    A damaged copy is deleted, at most `tries` times for each file; `asked`, `aside` and `wanted`
    are the paths that were given, in order.
    """

    are_copies = True

    def __init__(self, source: Path, copies: Path, tries: int = 2) -> None:
        self.source, self.copies, self.tries = source, copies, tries
        self.asked: list[str] = []
        self.aside: list[str] = []
        self.wanted: list[str] = []

    def path(self, stored: StoredFile) -> Path:
        self.asked.append(stored.path)
        copy = self.copies / stored.path
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.source / stored.path, copy)
        return copy

    def set_aside(self, stored: StoredFile, error: CorruptDataError) -> bool:
        assert Path(stored.path).name in str(error)
        self.aside.append(stored.path)
        (self.copies / stored.path).unlink(missing_ok=True)
        return self.aside.count(stored.path) < self.tries

    def interrupt(self) -> None:
        pass

    def proceed(self) -> None:
        pass

    def ahead(self, wanted: Sequence[StoredFile]) -> None:
        self.wanted = [stored.path for stored in wanted]

    def close(self) -> None:
        pass
