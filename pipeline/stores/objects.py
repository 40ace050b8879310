"""A data set in object storage behind a URL, through fsspec.

One of the two kinds of `Store`. Every file is one put, so that it appears whole; every operation is
tried again when servers or networks fail, and every body is measured against its object's size.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.stores.bucket import Bucket
from pipeline.stores.names import is_temporary
from pipeline.stores.retries import Retries
from pipeline.stores.stopping import NEVER, Stop
from pipeline.stores.store import Draft
from pipeline.stores.systems import READ_SECONDS, scheme_of
from pipeline.stores.uploads import Uploads
from schemas.temporary import temporary_folder

_CONDITIONAL = ("s3", "s3a", "gs", "gcs")
_creating = threading.Lock()


class ObjectStore:
    """The objects below `url`; the bucket must exist, nothing else.

    `create` is exclusive on S3 and Google's storage, which put on the condition that there is no
    object (a server that only speaks their language may ignore it). Elsewhere it looks and then
    puts: threads of one process take turns, but of two processes at the same instant both may be
    told True, and the later content stays. A put whose reply was lost counts as made: on S3 by a
    mark in the object's metadata, on Google's storage by its bytes, which somebody else may have.
    """

    def __init__(
        self, url: str, retries: Retries | None = None, read_seconds: float = READ_SECONDS
    ) -> None:
        """`read_seconds`: how long a server may take to send the next bytes."""
        self._bucket = Bucket(url, retries or Retries(), read_seconds)
        self._uploads = Uploads(self._bucket)

    @property
    def place(self) -> str:
        """The URL."""
        return self._bucket.url

    def where(self, name: str) -> str:
        """URL of the file `name`."""
        return self._bucket.where(name)

    def read(self, name: str) -> bytes:
        """Content of a file; `FileNotFoundError` when there is none."""
        return b"".join(self._bucket.pieces(name))

    def pieces(self, name: str, stop: Stop = NEVER) -> Iterator[bytes]:
        """Content of a file, piece by piece; `FileNotFoundError` when there is none."""
        return self._bucket.pieces(name, stop)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when there is none."""
        try:
            return self._bucket.size(name)
        except FileNotFoundError:
            return None

    def files(self, folder: str) -> dict[str, int]:
        """Bytes by name of the files directly in `folder`, sorted, temporary ones left out.

        `""` is the data set itself. One listing, of the moment.
        """
        bucket, path = self._bucket, self._bucket.folder(folder)
        found = bucket.listed(folder, lambda: bucket.system().ls(path, detail=True))
        inside = {name for name in found if name.rpartition("/")[0] == folder}
        return {name: found[name] for name in sorted(inside) if not is_temporary(name)}

    def every_file(self) -> Iterator[tuple[str, int]]:
        """Name and bytes of every file, in no fixed order."""
        bucket = self._bucket
        found = bucket.listed("", lambda: bucket.system().find(bucket.root, detail=True).values())
        yield from found.items()

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file in one put, over one that is there."""
        self._uploads.put(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one; False when there is, which stays as it is.

        Exclusive as far as the class says.
        """
        if self.size(name) is not None:
            return False
        if scheme_of(self.place) in _CONDITIONAL:
            return self._uploads.put_new(name, content)
        with _creating:
            is_free = self.size(name) is None
            if is_free:
                self.replace(name, content)
        return is_free

    @contextmanager
    def draft(self, folder: str) -> Iterator[Draft]:
        """A draft in a folder of temporary files; what it is committed as is uploaded then."""
        self._bucket.folder(folder)
        with temporary_folder() as place:
            path = Path(place, "draft")
            path.touch()
            yield _ObjectDraft(self._uploads, path)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """A copy in a folder of temporary files; `FileNotFoundError` when there is no object."""
        last = self._bucket.path(name).rpartition("/")[2]
        with temporary_folder() as place:
            path = Path(place, last)
            with path.open("wb") as copy:
                copy.writelines(self._bucket.pieces(name))
            yield path

    def remove(self, name: str) -> None:
        """Delete an object; nothing happens when there is none."""
        path = self._bucket.path(name)
        with suppress(FileNotFoundError):
            self._bucket.call(name, "deleted", lambda: self._bucket.system().rm_file(path))

    def remove_leftovers(self) -> int:
        """0: nothing half-written has a name here.

        The parts of an upload that was killed are ended by the bucket's rules, since they cannot
        be told from those of a writer that is alive.
        """
        return 0


class _ObjectDraft:
    """A local file that becomes an object when it is committed."""

    def __init__(self, uploads: Uploads, path: Path) -> None:
        self._uploads, self._path = uploads, path

    @property
    def path(self) -> Path:
        """Where to write it."""
        return self._path

    def commit(self, name: str) -> None:
        """Upload the finished file, over an object of that name, and delete it here."""
        self._uploads.upload(name, self._path)
        self._path.unlink()
