"""JSON files that know their own hash: a changed byte is found when the file is read.

Used for plan, records, manifest and what describes a run. The key `digest` holds the SHA-256 of the
canonical JSON of everything else.
"""

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from schemas.config import digest
from schemas.errors import DamagedError, DatasetError
from schemas.json_text import indented, plain
from schemas.samples import SCHEMA_VERSION

T = TypeVar("T")

_DIGEST, _VERSION = "digest", "schema_version"
NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV}
"""What opening a file ends with where there is none of its name."""
_TOO_LARGE = (OverflowError, RecursionError)


def seal(content: Mapping[str, Any]) -> str:
    """`content` as JSON text with schema version and digest; equal content gives equal bytes.

    Dataclasses in it, at any depth, are written as their fields.
    """
    versioned = plain({**content, _VERSION: SCHEMA_VERSION})
    return indented(versioned | {_DIGEST: digest(versioned)}) + "\n"


def unseal(text: str, place: str, remedy: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """What `parse` makes of the content that was sealed as `text`.

    Raises `DatasetError` naming `place` for another schema version, and with `remedy` for anything
    that was not written by `seal` or was changed since.
    """
    try:
        content = json.loads(text)
        found = content.pop(_DIGEST, None)
        version = content.get(_VERSION)
        if version != SCHEMA_VERSION and found == digest(content):
            raise DatasetError(
                f"{place}: schema version {version!r}, this release reads {SCHEMA_VERSION}; "
                "use the release that wrote it, or build anew"
            )
        if found != digest(content):
            raise DamagedError(
                f"{place}: damaged, or not written by this project (its digest does not fit its "
                f"content); {remedy}"
            )
        return parse(content)
    except (ValueError, LookupError, TypeError, AttributeError, *_TOO_LARGE) as error:
        if isinstance(error, DatasetError):
            raise
        raise DamagedError(
            f"{place}: damaged, or not written by this project ({type(error).__name__}: {error}); "
            f"{remedy}"
        ) from error


def is_sealed(content: bytes) -> bool:
    """Whether bytes say that they were written by `seal`, in whatever version."""
    try:
        found = json.loads(content)
    except (ValueError, *_TOO_LARGE):
        return False
    return isinstance(found, dict) and {_DIGEST, _VERSION} <= found.keys()


def read_sealed(path: Path) -> str:
    """Text of a sealed file; bytes that are no UTF-8 come as a mark, which its digest refuses.

    Raises `DatasetError` when there is no such file.
    """
    try:
        return read_regular(path).decode("utf-8", "replace")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error


def read_regular(path: Path) -> bytes:
    """Content of a regular file; a pipe or a device is not waited for.

    Raises `FileNotFoundError` for anything else under the path, as for nothing.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in NO_FILE:
            raise no_regular_file(path, str(error.strerror)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise no_regular_file(path)
    with open(descriptor, "rb") as stream:
        return stream.read()


def no_regular_file(path: Path | str, why: str = "no regular file") -> FileNotFoundError:
    """What is raised where a file was expected and something else, or nothing, was found."""
    return FileNotFoundError(errno.ENOENT, why, str(path))
