"""Writes to the objects below one URL: each is one put that is safe to send again.

Stands beside `bucket.py`, below the store (`objects.py`).
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pipeline.stores.bucket import Bucket, check_length
from pipeline.stores.retries import status_of
from pipeline.stores.systems import is_s3, written
from schemas.errors import DatasetError

T = TypeVar("T")

_PARTS_FROM_BYTES = 2**26
"""From here on an upload may be in parts."""

_MARK = "blankstream-writer"
"""Metadata of an object that `put_new` made: a number that no other put has."""

_PRECONDITION_FAILED = 412


class Uploads:
    """What a store writes into `bucket`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def put(self, name: str, content: bytes) -> None:
        """Write an object in one put, over one that is there."""
        path = self._bucket.path(name)
        self._write(name, lambda: self._send("pipe_file", len(content), path, content))

    def put_new(self, name: str, content: bytes) -> bool:
        """Write an object on the condition that there is none; whether that was so."""
        path, mark = self._bucket.path(name), secrets.token_hex(8)
        metadata = {"Metadata": {_MARK: mark}} if is_s3(self._bucket.url) else {}

        def put() -> bool:
            try:
                self._send("pipe_file", len(content), path, content, mode="create", **metadata)
            except Exception as error:
                if not _is_taken(error):
                    raise
                # A put whose reply was lost is refused when it is sent again, be it by us or by
                # a library below: then the object there is this one.
                return self._is_ours(path, mark, content)
            return True

        return self._write(name, put)

    def _is_ours(self, path: str, mark: str, content: bytes) -> bool:
        if is_s3(self._bucket.url):
            return bool(self._bucket.system().metadata(path).get(_MARK) == mark)
        return bytes(self._bucket.system().cat_file(path)) == content

    def upload(self, name: str, file: Path) -> None:
        """Write a local file as an object, over one that is there; its size is read back."""
        path, size = self._bucket.path(name), file.stat().st_size

        def put() -> None:
            self._send("put_file", size, str(file), path)
            check_length(int(self._bucket.system().info(path)["size"]), size)

        self._write(name, put)

    def _send(self, method: str, size: int, *args: Any, **more: Any) -> None:
        system = self._bucket.system(for_parts=size >= _PARTS_FROM_BYTES)
        written(system, method, size, self._bucket.read_seconds, *args, **more)

    def _write(self, name: str, action: Callable[[], T]) -> T:
        """As `call`, for what writes: only the bucket can be missing."""
        try:
            return self._bucket.call(name, "written", action)
        except FileNotFoundError as error:
            raise DatasetError(
                f"{self._bucket.where(name)}: cannot be written, since there is no such bucket "
                f"({error}); create it, or check the URL"
            ) from error


def _is_taken(error: Exception) -> bool:
    """Whether a put was refused because there is such an object."""
    cause = error.__cause__ or error
    return isinstance(error, FileExistsError) or status_of(cause)[0] == _PRECONDITION_FAILED
