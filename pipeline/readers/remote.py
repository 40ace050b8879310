"""Inputs behind URLs, through fsspec: listed, and opened as streams that local files are too.

Stands below `range_bytes.py`, which fetches ranges to local files: readers see those only. Lists,
opens and reads of a server are tried again when it fails (`remote_calls.py`).
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.readers.compression import SeekableStream
from pipeline.readers.remote_calls import is_disk_full, kind_at, tried
from pipeline.readers.remote_stream import RangeStream
from pipeline.stores.bucket import check_length, fetched_range
from pipeline.stores.systems import opened_system
from schemas.errors import InputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAGIC = re.compile(r"[*?\[]")
_HTTP = ("http", "https")


def is_url(place: str | Path) -> bool:
    """True for `scheme://...`."""
    return isinstance(place, str) and _URL.match(place) is not None


def is_glob(url: str) -> bool:
    """True for a URL with wildcards; of the web's, which may hold `?`, `*` is the only one."""
    return "*" in url if _is_http(url) else _MAGIC.search(url) is not None


def _is_http(url: str) -> bool:
    return urlsplit(url).scheme.lower() in _HTTP


def is_remote_file(url: str) -> bool:
    """Whether there is a file at `url`."""
    return tried(url, lambda: kind_at(*opened_system(url)) == "file")


def list_url(url: str) -> dict[str, str]:
    """URL by name of every file that `url` stands for: itself, those below it, or a glob's.

    Names are relative to the folder given, or to a glob's part without wildcards; those of which a
    part begins with a dot are left out. The listing is of the moment. Raises `InputError` for what
    is missing, and as `tried` for what is out of reach.
    """
    return tried(url, lambda: _listed(url))


def _listed(url: str) -> dict[str, str]:
    system, path = opened_system(url)
    system.invalidate_cache()
    if is_glob(url):
        fixed = path[: _MAGIC.search(path).start()]  # type: ignore[union-attr]
        return _below(system, fixed.rpartition("/")[0], system.glob(path, detail=True))
    if not url.endswith("/") and kind_at(system, path) == "file":
        return {urlsplit(path).path.rpartition("/")[2] if _is_http(url) else _last(path): url}
    found = _below(system, path, system.find(path, detail=True))
    if not found and kind_at(system, path) is None:
        raise InputError(f"{url}: no such file or folder; check --input")
    return found


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _below(system: Any, root: str, found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """URL by name relative to `root`; folders among what was found stand for what is below them."""
    files: dict[str, str] = {}
    root = root.rstrip("/") + "/" if root else ""
    for path in sorted(found):
        if path.endswith("/") or path + "/" == root:
            continue
        for file in [path] if found[path]["type"] == "file" else system.find(path):
            name = file.removeprefix(root)
            if ".." in name.split("/") or name.startswith("/"):
                raise InputError(f"{file}: the name of an input must not lead out of its folder")
            if not any(part.startswith(".") for part in name.split("/")):
                files[name] = system.unstrip_protocol(file)
    return files


class _LocalStream:
    """A local file whose failures name its place."""

    def __init__(self, path: Path, stream: SeekableStream) -> None:
        self._path, self._stream = path, stream

    def read(self, size: int, /) -> bytes:
        with _explained(self._path):
            return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with _explained(self._path):
            return self._stream.seek(offset, whence)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); restore it and run the build again"
        ) from error


@contextmanager
def opened(place: str | Path) -> Iterator[tuple[SeekableStream, int]]:
    """A local file or a URL as a seekable stream of bytes, and its size in bytes.

    A server that cannot give parts of a file has all of it fetched. Opening, reading and seeking
    raise `InputError`, or `StorageError` for a server that keeps failing; what else the caller's
    block raises passes through.
    """
    with ExitStack() as held:
        yield _open_url(place, held) if isinstance(place, str) else _open_path(place, held)


def _open_path(path: Path, held: ExitStack) -> tuple[SeekableStream, int]:
    with _explained(path):
        return _LocalStream(path, held.enter_context(path.open("rb"))), path.stat().st_size


def _open_url(url: str, held: ExitStack) -> tuple[SeekableStream, int]:
    system, path, info = tried(url, lambda: _information(url))
    size = info.get("size")
    if size is not None and (info.get("partial") or not _is_http(url)):
        return RangeStream(
            int(size),
            lambda start, stop: tried(url, lambda: fetched_range(system, path, start, stop)),
        ), int(size)
    local = held.enter_context(temporary_file(url))
    tried(url, lambda: _fetch_whole(url, local, system, path, size))
    return _open_path(local, held)


def _information(url: str) -> tuple[Any, str, Mapping[str, Any]]:
    system, path = opened_system(url)
    system.invalidate_cache(path)
    return system, path, system.info(path)


def _fetch_whole(url: str, local: Path, system: Any, path: str, size: int | None) -> None:
    try:
        system.get_file(path, str(local))
    except OSError as error:
        if is_disk_full(error):
            wanted = f"the {size} bytes" if size else "all"
            raise no_room(f"{wanted} of {url}", error) from error
        raise
    if size is not None:
        check_length(local.stat().st_size, size)


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
