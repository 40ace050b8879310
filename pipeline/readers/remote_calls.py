"""Calls to servers of inputs: tried again, and explained when they fail.

Stands below `remote.py`, which lists and opens what is behind URLs.
"""

import errno
from collections.abc import Callable
from typing import Any, TypeVar

from pipeline.stores.retries import Retries
from pipeline.stores.systems import install_hint
from schemas.errors import BlankstreamError, InputError

T = TypeVar("T")

RETRIES = Retries()
"""Of every operation on an input behind a URL."""

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def tried(url: str, action: Callable[[], T]) -> T:
    """What `action` returns; it may run several times.

    Around calls into the file system and nothing else: every file system has exceptions of its
    own, so that all of them count. Raises `StorageError` when failures that may pass did not, and
    `InputError` for others.
    """
    try:
        return RETRIES.call(url, "read", action)
    except BlankstreamError:
        raise
    except Exception as error:
        raise _url_error(url, error) from error


def _url_error(url: str, error: Exception) -> InputError:
    if isinstance(error, ImportError):
        hint = install_hint(url, error)
        return InputError(f"{url}: no package for this kind of URL is installed; {hint}")
    hidden = hidden_failure(error)
    error, verb = (hidden, "reached") if hidden else (error, "read")
    what = str(error).strip().splitlines() or [""]
    return InputError(
        f"{url}: cannot be {verb} ({type(error).__name__}: {what[0][:300]}); check the URL, "
        "the credentials and the network, and run the build again"
    )


def hidden_failure(error: Exception) -> Exception | None:
    """The failure of server or network that the web's file system reports as a missing file."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return None
    is_network = isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
    if is_network or getattr(cause, "status", 404) not in (404, 410):
        return cause
    return None


def kind_at(system: Any, path: str) -> str | None:
    """`file`, `directory`, or None where there is nothing; raises what a server failed with."""
    try:
        return str(system.info(path)["type"])
    except FileNotFoundError as error:
        if hidden_failure(error):
            raise
        return None


def is_disk_full(error: OSError) -> bool:
    """Whether a local write failed because nothing more fits."""
    return error.errno in _DISK_IS_FULL
