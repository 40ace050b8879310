"""Inputs behind URLs, through fsspec: listed, opened, and fetched range by range to local files.

Readers see local files only. A fetched range is checked against its hash before it is read.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from pipeline.readers.range_bytes import blocks_of, changed_error, hash_range, needed_spans
from schemas.errors import InputError
from schemas.plan import SourceRange

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAGIC = re.compile(r"[*?\[]")
_HTTP = ("http", "https")
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
def _explained(url: str) -> Iterator[None]:
    """Whatever a file system raises, as one `InputError`: each has exceptions of its own."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        package = _PACKAGES.get(url.partition("://")[0].lower())
        remedy = f"run `pip install {package}`" if package else str(error)
        raise InputError(
            f"{url}: no package for this kind of URL is installed; {remedy}"
        ) from error
    except Exception as error:
        what = str(error).strip().splitlines() or [""]
        raise InputError(
            f"{url}: cannot be read ({type(error).__name__}: {what[0][:300]}); check the URL, "
            "the credentials and the network, and run the build again"
        ) from error


def _opened_system(url: str) -> tuple[Any, str]:
    found = import_module("fsspec.core").url_to_fs(url)
    return found[0], found[1]


def list_url(url: str) -> dict[str, str]:
    """URL by name of every file that `url` stands for: itself, those below it, or a glob's.

    Names are relative to the folder given, or to a glob's part without wildcards.
    """
    with _explained(url):
        system, path = _opened_system(url)
        is_http = urlsplit(url).scheme.lower() in _HTTP
        if _MAGIC.search(path) if not is_http else "*" in path:
            fixed = path[: _MAGIC.search(path).start()]  # type: ignore[union-attr]
            return _below(system, fixed.rpartition("/")[0], system.glob(path))
        if system.isfile(path) and not url.endswith("/"):
            return {urlsplit(path).path.rpartition("/")[2] if is_http else _last(path): url}
        found = _below(system, path, system.find(path))
        if not found and not system.exists(path):
            raise InputError(f"{url}: no such file or folder; check --input")
        return found


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
            found[name] = system.unstrip_protocol(file)
    return found


@contextmanager
def opened(place: str | Path) -> Iterator[tuple[IO[bytes], int]]:
    """A local file or a URL as a seekable stream of bytes, and its size in bytes.

    A server that cannot give parts of a file has all of it fetched. Raises `InputError`.
    """
    if isinstance(place, Path):
        try:
            with place.open("rb") as stream:
                yield stream, place.stat().st_size
        except OSError as error:
            raise InputError(
                f"{place}: cannot be read ({error.strerror}); restore it and run the build again"
            ) from error
        return
    with _explained(place):
        system, path = _opened_system(place)
        if not _gives_parts(system, path):
            with _fetched_whole(system, path) as local, local.open("rb") as stream:
                yield stream, local.stat().st_size
            return
        with system.open(path, "rb") as stream:
            yield stream, int(stream.size)


def _gives_parts(system: Any, path: str) -> bool:
    protocols = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
    if not set(_HTTP) & set(protocols):
        return True
    info = system.info(path)
    return bool(info.get("partial")) and info.get("size") is not None


@contextmanager
def _fetched_whole(system: Any, path: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="blankstream-") as folder:
        local = Path(folder) / "input"
        system.get_file(path, str(local))
        yield local


@contextmanager
def local_copy(place: str | Path, source: SourceRange) -> Iterator[Path]:
    """A local file that has the bytes which reading `source` needs, at their places.

    A local file stands for itself. Of a URL they are fetched, checked and removed afterwards; what
    lies outside of them is a hole. Raises `InputError` when they are not what was planned.
    """
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="blankstream-") as folder:
        local = Path(folder) / "input"
        with opened(place) as (stream, size), local.open("wb+") as copy:
            copy.truncate(size)
            span = (source.start, source.stop)
            for part in needed_spans(source.path, stream, size, span):
                copy.seek(part[0])
                for block in blocks_of(stream, part):
                    copy.write(block)
            found = hash_range(source.path, copy, size, span)
        if found != source.xxh3:
            raise changed_error(place, source, found)
        yield local
