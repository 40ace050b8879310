"""Place -> store: what a build, a reader or a check of a data set opens first.

Stands above both kinds of store and is the only module that knows both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.readers.remote import is_url
from pipeline.stores.local import LocalStore
from pipeline.stores.objects import ObjectStore
from pipeline.stores.store import Store
from schemas.errors import DatasetError
from schemas.temporary import temporary_folder


def open_store(place: str | Path) -> Store:
    """The store at a local path or behind a URL; nothing needs to be there, nothing is made.

    `file://` stands for a local path. Raises `DatasetError` for a URL of no known kind, or whose
    package is not installed.
    """
    if not is_url(place):
        return _local_store(Path(place))
    url = str(place)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DatasetError(f"{url}: is no URL ({error}); see to its host and port") from error
    if parts.scheme.lower() != "file":
        return ObjectStore(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise DatasetError(f"{url}: a local folder is given as file:///folder, or as its path")
    return _local_store(Path(unquote(parts.path)))


def _local_store(folder: Path) -> LocalStore:
    if "\0" in str(folder):
        raise DatasetError(f"{str(folder)!r}: no name of a file holds the character 0")
    return LocalStore(folder)


@contextmanager
def local_folder(store: Store, prefix: str) -> Iterator[Path]:
    """The folder `prefix` of a data set on a local disk: itself, or a copy of the files directly
    in it that goes with the context. `FileNotFoundError` when it holds no file."""
    files = store.files(prefix)
    if not files:
        raise FileNotFoundError(f"{store.where(prefix)}: no such folder, or no file in it")
    if isinstance(store, LocalStore):
        yield store.folder / prefix
        return
    with temporary_folder() as name:
        for file in files:
            (Path(name) / file.rpartition("/")[2]).write_bytes(store.read(file))
        yield Path(name)
