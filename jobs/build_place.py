"""Where a data set may be made: a new or empty folder, one that was begun before, or a URL."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from pipeline.stores.systems import scheme_of
from schemas.errors import CorruptDataError, DatasetError
from schemas.names import MANIFEST_NAME, PLAN_NAME, SPLITTER_NAME, STATUS_NAME, TOKENIZER_FOLDER
from schemas.sealed import is_sealed
from schemas.storage import TEMPORARY_MARK

_OURS = {TOKENIZER_FOLDER, SPLITTER_NAME, STATUS_NAME, "plan"}
_OTHER = "give another --output"


def check_place(store: Store, is_written: bool = True) -> None:
    """Raise `DatasetError` where no data set can be made, before anything is read or written.

    That is a file, other files, a folder inside another data set, no name of a file system, what
    ends with the process, and, where it `is_written`, a place without permission. Nothing stays of
    the folder that is made to find out. `CorruptDataError` for a finished data set without plan.
    """
    _check_name(store)
    if isinstance(store, LocalStore):
        _check_folder(store.folder, is_written)
    if store.size(PLAN_NAME) is not None:
        return
    if store.size(MANIFEST_NAME) is not None:
        raise CorruptDataError(
            f"{store.where(PLAN_NAME)}: missing beside {MANIFEST_NAME}; run `blankstream repair` "
            "on the data set"
        )
    if other := next(
        (top for top in _tops(store) if top.split(TEMPORARY_MARK)[0] not in _OURS), ""
    ):
        raise DatasetError(
            f"{store.place}: holds no {PLAN_NAME} but other files ({other}, ...); give a new or "
            "empty folder as --output"
        )
    _check_outside(store)


def _check_name(store: Store) -> None:
    try:
        store.place.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"{store.place!a}: the name is not UTF-8, which file names in a data set must be; "
            f"{_OTHER}"
        ) from error
    if not isinstance(store, LocalStore) and scheme_of(store.place) == "memory":
        raise DatasetError(
            f"{store.place}: is in the memory of one process and would be lost with it; give a "
            "folder, or a URL of object storage, as --output"
        )


def _tops(store: Store) -> Iterator[str]:
    """First parts of the names of files that are there."""
    if not isinstance(store, LocalStore):
        yield from (name.split("/")[0] for name, _ in store.every_file())
        return
    with suppress(FileNotFoundError), os.scandir(store.folder) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if not is_folder or any(names for _, _, names in os.walk(entry.path)):
                yield entry.name


def _check_outside(store: Store) -> None:
    """What is in the folder of a data set is taken for its files."""
    if outer := dataset_around(store):
        raise DatasetError(f"{store.place}: is inside the data set {outer.place}; {_OTHER}")


def dataset_around(store: Store) -> Store | None:
    """The data set that is at a place, or else the next one above it; None where there is none."""
    return next((one for one in (store, *_outer(store)) if is_dataset(one)), None)


def is_dataset(store: Store) -> bool:
    """Whether a data set is there, finished or not; False where there is no permission to look.

    Programs of others have files of the same names.
    """
    return any(_is_sealed(store, name) for name in (PLAN_NAME, MANIFEST_NAME))


def _is_sealed(store: Store, name: str) -> bool:
    with suppress(DatasetError, OSError):
        return is_sealed(store.read(name))
    return False


def _outer(store: Store) -> Iterator[Store]:
    """The folders above, up to the root or the bucket."""
    if isinstance(store, LocalStore):
        # Not `resolve`, which raises for a link to itself.
        yield from map(LocalStore, Path(os.path.realpath(store.folder)).parents)
        return
    place = store.place.rpartition("/")[0]
    while not place.endswith("/"):
        yield open_store(place)
        place = place.rpartition("/")[0]


def _check_folder(folder: Path, is_written: bool) -> None:
    whole = folder.absolute()
    try:
        place = next(path for path in (whole, *whole.parents) if os.path.lexists(path))
        is_lost = not place.exists()
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be a folder ({error.strerror})") from error
    if is_lost:
        raise DatasetError(f"{folder}: {place} is a link to nothing; {_OTHER}")
    if place == whole and not place.is_dir():
        raise DatasetError(f"{folder}: is a file; give a folder as --output")
    if not place.is_dir():
        raise DatasetError(f"{folder}: {place} is a file; {_OTHER}")
    if is_written:
        _check_writable(folder, place)


def _check_writable(folder: Path, place: Path) -> None:
    """Whether the system takes a folder, which permissions alone do not say."""
    if not os.access(place, os.W_OK | os.X_OK):
        raise DatasetError(f"{folder}: no permission to write in {place}; {_OTHER}")
    whole = folder.absolute()
    if place == whole:
        return
    first = place / whole.relative_to(place).parts[0]
    try:
        first.mkdir()
    except FileExistsError:
        return
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be made ({error.strerror}); {_OTHER}") from error
    with suppress(OSError):  # another driver writes there meanwhile
        first.rmdir()


def folder_of(store: Store) -> Path:
    """The folder of a data set, below which no input is looked for; of a URL one nowhere."""
    return store.folder if isinstance(store, LocalStore) else Path(store.place)
