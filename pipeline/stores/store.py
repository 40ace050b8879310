"""The files of one data set by name: what a build needs of a local folder or of object storage.

Stands below everything that writes a data set. Names are relative to the data set and use forward
slashes. A file appears whole or not at all, wherever it is.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pipeline.stores.stopping import NEVER, Stop


class Draft(Protocol):
    """A file that is being written on a local disk and is part of nothing yet."""

    @property
    def path(self) -> Path:
        """Where to write it: an existing, empty local file."""

    def commit(self, name: str) -> None:
        """Put the finished file in its place, durably; a file already there is replaced.

        `name` holds a hash of the content, so that what is replaced has the same bytes.
        """


class Store(Protocol):
    """The files of one data set. Every method may be called by several processes at once.

    Failures of a disk are `OSError`; failures of a server, after retries, `BlankstreamError`.
    """

    @property
    def place(self) -> str:
        """Path or URL of the data set, for people."""

    def where(self, name: str) -> str:
        """Path or URL of the file `name`, for people."""

    def read(self, name: str) -> bytes:
        """Content of a file; `FileNotFoundError` when there is none."""

    def pieces(self, name: str, stop: Stop = NEVER) -> Iterator[bytes]:
        """Content of a file, piece by piece; `FileNotFoundError` when there is none.

        A large file that is replaced meanwhile may give pieces of both. Waits for a server end with
        `StoppedError` once `stop` is set.
        """

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when there is none."""

    def files(self, folder: str) -> dict[str, int]:
        """Bytes by name (whole, not relative to `folder`) of the files directly in `folder`,
        sorted; temporary ones left out, empty when there is no such folder."""

    def every_file(self) -> Iterator[tuple[str, int]]:
        """Name and bytes of every file of the data set, in no fixed order, temporary ones too."""

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file atomically and durably, over one that is there."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one, atomically and durably.

        False when there is one, which stays as it is. Of several callers at once one gets True.
        """

    def draft(self, folder: str) -> AbstractContextManager[Draft]:
        """A draft of a file that will be committed in `folder`; gone with the context unless
        committed."""

    def local(self, name: str) -> AbstractContextManager[Path]:
        """The file on a local disk: itself, or a temporary copy that goes with the context.

        `FileNotFoundError` when there is none.
        """

    def remove(self, name: str) -> None:
        """Delete a file; nothing happens when there is none."""

    def remove_leftovers(self) -> int:
        """Delete what killed writers left half-written; how many files that were."""
