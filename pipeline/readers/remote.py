"""Inputs behind URLs, through fsspec: listed, and opened as streams that local files are too.

Stands below `range_bytes.py`, which fetches ranges to local files: readers see those only.
"""

import errno
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.readers.compression import SeekableStream
from schemas.errors import InputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAGIC = re.compile(r"[*?\[]")
_HTTP = ("http", "https")
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PACKAGES = {
    "s3": "blankstream[s3]",
    "s3a": "blankstream[s3]",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "abfs": "adlfs",
    "az": "adlfs",
}
"""What to install for a scheme; for others fsspec's own message names it."""


def is_url(place: str | Path) -> bool:
    """True for `scheme://...`."""
    return isinstance(place, str) and _URL.match(place) is not None


@contextmanager
def _explained(place: str | Path) -> Iterator[None]:
    """What opening or reading a place raises, as one `InputError`.

    Around calls into the file system and nothing else: every file system has exceptions of its
    own, so that of a URL all of them count.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(place, str):
            raise _url_error(place, error) from error
        if not isinstance(error, OSError):
            raise
        raise InputError(
            f"{place}: cannot be read ({error.strerror}); restore it and run the build again"
        ) from error


def _url_error(url: str, error: Exception) -> InputError:
    if isinstance(error, ImportError):
        package = _PACKAGES.get(url.partition("://")[0].lower())
        remedy = f"run `pip install {package}`" if package else str(error)
        return InputError(f"{url}: no package for this kind of URL is installed; {remedy}")
    hidden = _hidden_failure(error)
    error, verb = (hidden, "reached") if hidden else (error, "read")
    what = str(error).strip().splitlines() or [""]
    return InputError(
        f"{url}: cannot be {verb} ({type(error).__name__}: {what[0][:300]}); check the URL, "
        "the credentials and the network, and run the build again"
    )


def _hidden_failure(error: Exception) -> Exception | None:
    """The failure of server or network that the web's file system reports as a missing file."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return None
    is_network = isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
    return cause if is_network or getattr(cause, "status", 404) != 404 else None


class _Explained:
    """A stream whose failures name its place."""

    def __init__(self, place: str | Path, stream: SeekableStream) -> None:
        self._place, self._stream = place, stream

    def read(self, size: int, /) -> bytes:
        with _explained(self._place):
            return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with _explained(self._place):
            return self._stream.seek(offset, whence)


def is_glob(url: str) -> bool:
    """True for a URL with wildcards; of the web's, which may hold `?`, `*` is the only one."""
    is_http = urlsplit(url).scheme.lower() in _HTTP
    return "*" in url if is_http else _MAGIC.search(url) is not None


def is_remote_file(url: str) -> bool:
    """Whether there is a file at `url`."""
    with _explained(url):
        system, path = _opened_system(url)
        return bool(system.isfile(path))


def _opened_system(url: str) -> tuple[Any, str]:
    found = import_module("fsspec.core").url_to_fs(url)
    return found[0], found[1]


def list_url(url: str) -> dict[str, str]:
    """URL by name of every file that `url` stands for: itself, those below it, or a glob's.

    Names are relative to the folder given, or to a glob's part without wildcards; those of which a
    part begins with a dot are left out. Raises `InputError` for what is missing or out of reach.
    """
    with _explained(url):
        system, path = _opened_system(url)
        is_http = urlsplit(url).scheme.lower() in _HTTP
        if is_glob(url):
            fixed = path[: _MAGIC.search(path).start()]  # type: ignore[union-attr]
            return _below(system, fixed.rpartition("/")[0], system.glob(path))
        if system.isfile(path) and not url.endswith("/"):
            return {urlsplit(path).path.rpartition("/")[2] if is_http else _last(path): url}
        found = _below(system, path, system.find(path))
        if not found and not system.exists(path):
            _check_reach(system, path)
            raise InputError(f"{url}: no such file or folder; check --input")
        return found


def _check_reach(system: Any, path: str) -> None:
    """Raise what kept a server from saying that there is no such file."""
    try:
        system.info(path)
    except FileNotFoundError as error:
        if _hidden_failure(error):
            raise


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _below(system: Any, root: str, paths: list[str]) -> dict[str, str]:
    """URL by name relative to `root`; folders among `paths` stand for what is below them."""
    found: dict[str, str] = {}
    root = root.rstrip("/") + "/" if root else ""
    for path in sorted(paths):
        if path.endswith("/") or path + "/" == root:
            continue
        inner = [path] if system.isfile(path) else system.find(path)
        for file in inner:
            name = file.removeprefix(root)
            if ".." in name.split("/") or name.startswith("/"):
                raise InputError(f"{file}: the name of an input must not lead out of its folder")
            if not any(part.startswith(".") for part in name.split("/")):
                found[name] = system.unstrip_protocol(file)
    return found


@contextmanager
def opened(place: str | Path) -> Iterator[tuple[SeekableStream, int]]:
    """A local file or a URL as a seekable stream of bytes, and its size in bytes.

    A server that cannot give parts of a file has all of it fetched. Opening, reading and seeking
    raise `InputError`; what else the caller's block raises passes through.
    """
    with ExitStack() as held:
        with _explained(place):
            stream, size = _open(place, held)
        yield _Explained(place, stream), size


def _open(place: str | Path, held: ExitStack) -> tuple[SeekableStream, int]:
    if isinstance(place, Path):
        return held.enter_context(place.open("rb")), place.stat().st_size
    system, path = _opened_system(place)
    if _gives_parts(system, path):
        found = held.enter_context(system.open(path, "rb"))
        return found, int(found.size)
    local = held.enter_context(temporary_file(place))
    try:
        system.get_file(path, str(local))
    except OSError as error:
        if error.errno in _DISK_IS_FULL:
            size = system.info(path).get("size")
            wanted = f"the {size} bytes" if size else "all"
            raise no_room(f"{wanted} of {place}", error) from error
        raise
    return held.enter_context(local.open("rb")), local.stat().st_size


def _gives_parts(system: Any, path: str) -> bool:
    protocols = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
    if not set(_HTTP) & set(protocols):
        return True
    info = system.info(path)
    return bool(info.get("partial")) and info.get("size") is not None


@contextmanager
def temporary_file(place: str) -> Iterator[Path]:
    """A path in a folder of its own, which goes with the context."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="blankstream-")
    except OSError as error:
        raise no_room(f"a copy of {place}", error) from error
    with folder as name:
        yield Path(name) / "input"


def no_room(what: str, error: OSError) -> InputError:
    """The message for a folder of temporary files that cannot hold `what`."""
    folder = tempfile.tempdir or "the folder of temporary files"
    return InputError(
        f"{folder}: cannot hold {what} ({error.strerror}); free space, or set TMPDIR to a folder "
        "with more of it, and run the build again"
    )
