"""Operations on the objects below one URL: tried again, measured, and explained when they fail.

Stands between the file systems of fsspec (`systems.py`) and the store (`objects.py`), whose writes
are in `uploads.py`.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from pipeline.stores.names import checked_name
from pipeline.stores.retries import Retries, ShortBodyError
from pipeline.stores.stopping import NEVER, Stop
from pipeline.stores.systems import answered, is_s3, opened_system, refused
from schemas.errors import BlankstreamError, DatasetError

T = TypeVar("T")

_FETCH_BYTES = 2**25
"""Most that one request asks for."""

_PART_TRIES = 5
"""Of each part of an upload in parts: one failure must not begin all of it again."""


class Bucket:
    """The objects below `url`. The file system is opened once in each process, forked ones too, and
    keeps no listing."""

    def __init__(self, url: str, retries: Retries, read_seconds: float) -> None:
        if not url.partition("://")[2].strip("/"):
            raise DatasetError(f"{url}: names no bucket; give scheme://bucket/folder")
        self.url = url.rstrip("/")
        self._retries, self.read_seconds = retries, read_seconds
        self._opened: dict[tuple[int, bool], tuple[Any, str]] = {}
        self.root = self._open()[1].rstrip("/")

    def path(self, name: str) -> str:
        """Path of the object `name` in the file system; `DatasetError` for what is no name."""
        return f"{self.root}/{checked_name(self.url, name)}"

    def folder(self, name: str) -> str:
        """Path of a folder in the file system; that of the data set for an empty name."""
        return self.path(name) if name else self.root

    def where(self, name: str) -> str:
        """URL of the object `name`, or of them all."""
        return f"{self.url}/{checked_name(self.url, name)}" if name else self.url

    def system(self, for_parts: bool = False) -> Any:
        """The file system, with nothing remembered of earlier listings; one for uploads in parts
        tries each part several times."""
        system = self._open(for_parts)[0]
        system.invalidate_cache()
        return system

    def size(self, name: str) -> int:
        """Bytes of an object; `FileNotFoundError` when there is none."""
        return self.call(name, "looked up", lambda: self._size(name))

    def _size(self, name: str, stop: Stop = NEVER) -> int:
        info = answered(self.system(), "info", stop, self.path(name))
        if info["type"] != "file":
            raise FileNotFoundError(f"{self.where(name)}: no such object")
        return int(info["size"])

    def pieces(self, name: str, stop: Stop = NEVER) -> Iterator[bytes]:
        """Content of an object, piece by piece; `FileNotFoundError` when there is none,
        `StoppedError` once `stop` is set, in the middle of a request too (see `answered`).

        That of an object of at most `_FETCH_BYTES` is of one moment, though it be replaced
        meanwhile.
        """
        size, first = self.call(name, "read", lambda: self._first(name, stop), stop)
        yield first
        for start in range(len(first), size, _FETCH_BYTES):
            end = min(size, start + _FETCH_BYTES)
            yield self.call(name, "read", partial(self._fetched, name, start, end, stop), stop)

    def _first(self, name: str, stop: Stop) -> tuple[int, bytes]:
        """Size of an object and its first piece."""
        size = self._size(name, stop)
        if not size:
            return 0, b""
        if size > _FETCH_BYTES:
            return size, self._fetched(name, 0, _FETCH_BYTES, stop)
        # One byte more than there is: a longer object that came meanwhile has it.
        found = answered(self.system(), "cat_file", stop, self.path(name), start=0, end=size + 1)
        check_length(len(found), size)
        return size, bytes(found)

    def _fetched(self, name: str, start: int, end: int, stop: Stop) -> bytes:
        return fetched_range(self.system(), self.path(name), start, end, stop)

    def listed(
        self, folder: str, listing: Callable[[], Iterable[dict[str, Any]]]
    ) -> dict[str, int]:
        """Bytes by name of the files that `listing` finds; empty when there is no such folder."""
        try:
            found = self.call(folder, "listed", lambda: list(listing()))
        except FileNotFoundError:
            return {}
        files = {info["name"]: int(info["size"]) for info in found if info["type"] == "file"}
        names = {path.removeprefix(f"{self.root}/"): size for path, size in files.items()}
        return {checked_name(self.url, name): size for name, size in names.items()}

    def call(self, name: str, verb: str, action: Callable[[], T], stop: Stop = NEVER) -> T:
        """What `action` returns, tried again where that may help.

        `FileNotFoundError` and errors of ours pass; all else is as of `refused` with `verb`.
        """
        try:
            return self._retries.call(self.where(name), verb, action, stop)
        except (FileNotFoundError, BlankstreamError):
            raise
        except Exception as error:
            raise refused(self.where(name), verb, error) from error

    def _open(self, for_parts: bool = False) -> tuple[Any, str]:
        key = os.getpid(), for_parts
        if key not in self._opened:
            options = {"skip_instance_cache": True, "use_listings_cache": False}
            try:
                self._opened[key] = opened_system(self.url, self.read_seconds, **options)
            except Exception as error:  # whatever the package of the system raises
                raise refused(self.url, "opened", error) from error
            if for_parts and is_s3(self.url):
                self._opened[key][0].retries = _PART_TRIES
        return self._opened[key]


def fetched_range(system: Any, path: str, start: int, end: int, stop: Stop = NEVER) -> bytes:
    """Bytes [start, end) of an object; `ShortBodyError` when they are more or fewer."""
    found = bytes(answered(system, "cat_file", stop, path, start=start, end=end))
    check_length(len(found), end - start)
    return found


def check_length(found: int, expected: int) -> None:
    """Raise `ShortBodyError` for another number of bytes than the object has."""
    if found != expected:
        raise ShortBodyError(f"{found} bytes instead of {expected}")
