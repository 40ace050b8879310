"""URL -> file system of fsspec, with time limits on its sockets and no tries of its own.

Stands below `bucket.py` and the readers of inputs behind URLs. fsspec and its packages are loaded
when the first URL is opened.
"""

import asyncio
from concurrent.futures import wait
from importlib import import_module
from typing import Any

from pipeline.stores.retries import said
from pipeline.stores.stopping import LOOK_SECONDS, Stop
from schemas.errors import BlankstreamError, DatasetError, StorageError
from schemas.packages import how_to_install

_PACKAGES = {
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "abfs": "adlfs",
    "az": "adlfs",
}
"""What to install for a scheme other than S3's; for others fsspec's own message names it."""

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
"""How long a server may take to accept a connection, and to send the next bytes."""

_SLOWEST_BYTES_PER_SECOND = 2**18
"""An upload that is slower counts as stuck."""


def scheme_of(url: str) -> str:
    """`s3` of `s3://bucket/key`."""
    return url.partition("://")[0].lower()


def is_s3(url: str) -> bool:
    """Whether s3fs serves a URL."""
    return scheme_of(url) in ("s3", "s3a")


def opened_system(url: str, read_seconds: float = READ_SECONDS, **more: Any) -> tuple[Any, str]:
    """The file system of a URL, and the path of the URL in it; `more` are options of fsspec.

    Whoever calls it tries again (`retries.py`). Raises whatever the file system raises, and
    `ImportError` when its package is not installed.
    """
    options = _limits(url, read_seconds) | more
    system, path = import_module("fsspec.core").url_to_fs(url, **options)
    if is_s3(url):
        system.retries = 1
    return system, path


def _limits(url: str, read_seconds: float) -> dict[str, Any]:
    if is_s3(url):
        limits = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": read_seconds,
            "retries": {"mode": "standard", "total_max_attempts": 1},
        }
        return {"config_kwargs": limits}
    if scheme_of(url) in ("http", "https"):
        limit = import_module("aiohttp").ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=read_seconds
        )
        return {"client_kwargs": {"timeout": limit}}
    return {"auto_mkdir": True} if scheme_of(url) == "file" else {}


def written(
    system: Any, method: str, size: int, read_seconds: float, *args: Any, **more: Any
) -> None:
    """Run `pipe_file` or `put_file` of a file system for `size` bytes, within a limit of time.

    The limits of sockets do not hold while a server that was asked whether to go on says nothing,
    nor while it takes no bytes. Raises `TimeoutError`, and what the file system raises.
    """
    if not getattr(system, "async_impl", False):
        getattr(system, method)(*args, **more)
        return
    seconds = read_seconds + size / _SLOWEST_BYTES_PER_SECOND
    upload = getattr(system, f"_{method}")(*args, **more)
    future = asyncio.run_coroutine_threadsafe(upload, system.loop)
    try:
        future.result(seconds)
    except BaseException as error:
        is_stuck = future.cancel() and isinstance(error, TimeoutError)
        if not is_stuck:
            raise
        raise TimeoutError(f"{size} bytes were not taken in {seconds:.0f} s") from error


def answered(system: Any, method: str, stop: Stop, *args: Any, **more: Any) -> Any:
    """What `method` ("info", "cat_file") of a file system returns; `StoppedError` when `stop` is
    set meanwhile.

    A file system that is not asynchronous ends the request that it has begun first: there its own
    time limits are the longest wait. Raises what the file system raises.
    """
    stop.check(args[0])
    if not getattr(system, "async_impl", False):
        return getattr(system, method)(*args, **more)
    call = getattr(system, f"_{method}")(*args, **more)
    future = asyncio.run_coroutine_threadsafe(call, system.loop)
    try:
        while not wait([future], LOOK_SECONDS).done:
            stop.check(args[0])
        return future.result()
    finally:
        future.cancel()


def install_hint(url: str, error: ImportError) -> str:
    """What to run when the package for a URL is not installed."""
    if is_s3(url):
        return how_to_install("s3fs")
    package = _PACKAGES.get(scheme_of(url))
    return f"run `pip install {package}`" if package else str(error)


def refused(place: str, verb: str, error: Exception) -> BlankstreamError:
    """What a file system raised and no other try would help: a `DatasetError` where the caller can
    help it, else a `StorageError`, with the URL `place` and `verb` ("read")."""
    if isinstance(error, ImportError):
        hint = install_hint(place, error)
        return DatasetError(f"{place}: no package for this kind of URL is installed; {hint}")
    if isinstance(error, ValueError):
        return DatasetError(f"{place}: could not be {verb} ({said(error)}); check the URL")
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return DatasetError(
            f"{place}: could not be {verb} ({said(error)}); check the credentials, and what they "
            "may do in this bucket"
        )
    return StorageError(
        f"{place}: could not be {verb} ({said(error)}); check the URL and the server, and run the "
        "same command again"
    )
