"""A data set in a local folder, or one that is mounted as such.

One of the two kinds of `Store`. What is written is on the disk when the call returns.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.stores.names import checked_name, is_temporary
from pipeline.stores.stopping import NEVER, Stop
from pipeline.stores.store import Draft
from schemas.leftovers import remove_leftovers
from schemas.sealed import NO_FILE, no_regular_file, read_regular
from schemas.storage import HeldFile, commit_bytes, create_bytes, flush

_PIECE_BYTES = 2**20


class LocalStore:
    """The files below `folder`, which need not exist before something is written.

    `create` is exclusive by a hard link, or by a lock where the file system has no links.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def place(self) -> str:
        """Path of the folder."""
        return str(self.folder)

    def where(self, name: str) -> str:
        """Path of the file `name`."""
        return str(self._path(name))

    def read(self, name: str) -> bytes:
        """Content of a file; `FileNotFoundError` when there is none, or no regular one."""
        return read_regular(self._path(name))

    def pieces(self, name: str, stop: Stop = NEVER) -> Iterator[bytes]:
        """Content of a file, piece by piece; `FileNotFoundError` when there is none. Nothing here
        waits for a server, so that `stop` changes nothing."""
        with self.local(name) as path, path.open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when there is none."""
        status: os.stat_result | None = None
        with _none_there():
            status = self._path(name).stat()
        return status.st_size if status and stat.S_ISREG(status.st_mode) else None

    def files(self, folder: str) -> dict[str, int]:
        """Bytes by name of the files directly in `folder`, sorted, temporary ones left out.

        `""` is the data set itself.
        """
        path = self._path(folder) if folder else self.folder
        found = {}
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
            for entry in entries:
                # One that goes meanwhile is none.
                with _none_there():
                    if entry.is_file() and not is_temporary(entry.name):
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        found[name] = entry.stat().st_size
        return dict(sorted(found.items()))

    def every_file(self) -> Iterator[tuple[str, int]]:
        """Name and bytes of every file, in no fixed order, temporary ones too."""
        for folder, _, names in os.walk(self.folder):
            sizes = {}
            for name in names:
                path = Path(folder, name)
                with _none_there():
                    sizes[path.relative_to(self.folder).as_posix()] = path.stat().st_size
            yield from sizes.items()

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file atomically and durably, over one that is there."""
        commit_bytes(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one; False when there is, which stays as it is."""
        return create_bytes(self._path(name), content)

    @contextmanager
    def draft(self, folder: str) -> Iterator[Draft]:
        """A draft of a file that will be committed in `folder`, where it is written."""
        with HeldFile(self._path(folder) if folder else self.folder, "draft") as held:
            yield _LocalDraft(self, held)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """The file itself; `FileNotFoundError` when there is none."""
        if self.size(name) is None:
            raise no_regular_file(self._path(name))
        yield self._path(name)

    def remove(self, name: str) -> None:
        """Delete a file; nothing happens when there is none."""
        path = self._path(name)
        with suppress(FileNotFoundError):
            path.unlink()
            flush(path.parent)

    def remove_leftovers(self) -> int:
        """Delete what killed writers left half-written; how many files that were."""
        return remove_leftovers(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / checked_name(self.place, name)


@contextmanager
def _none_there() -> Iterator[None]:
    """Go on behind the block where a path leads to nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_FILE:
            raise


class _LocalDraft:
    """A temporary file in the folder that it will be committed in."""

    def __init__(self, store: LocalStore, held: HeldFile) -> None:
        self._store, self._held = store, held

    @property
    def path(self) -> Path:
        """Where to write it."""
        return self._held.path

    def commit(self, name: str) -> None:
        """Put the finished file in its place, durably; a file already there is replaced."""
        self._held.commit(Path(self._store.where(name)))
