"""Where a data set may be made: a new or empty folder, one that was begun before, or a URL."""

import os
from pathlib import Path

from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from schemas.errors import DatasetError
from schemas.names import PLAN_NAME, SPLITTER_NAME, STATUS_NAME, TOKENIZER_FOLDER
from schemas.storage import TEMPORARY_MARK


def check_place(store: Store) -> None:
    """Raise `DatasetError` where no data set can be made: a file, no permission, other files."""
    if isinstance(store, LocalStore):
        _check_folder(store.folder)
    if store.size(PLAN_NAME) is not None:
        return
    ours = {TOKENIZER_FOLDER, SPLITTER_NAME, STATUS_NAME, "plan"}
    tops = (name.split("/")[0] for name, _ in store.every_file())
    other = next((top for top in tops if top.split(TEMPORARY_MARK)[0] not in ours), None)
    if other:
        raise DatasetError(
            f"{store.place}: holds no {PLAN_NAME} but other files ({other}, ...); give a new or "
            "empty folder as --output"
        )


def _check_folder(folder: Path) -> None:
    try:
        place = next(
            path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
        )
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be a folder ({error.strerror})") from error
    if place == folder.absolute() and not place.is_dir():
        raise DatasetError(f"{folder}: is a file; give a folder as --output")
    if not place.is_dir():
        raise DatasetError(f"{folder}: {place} is a file; give another --output")
    if not os.access(place, os.W_OK):
        raise DatasetError(f"{folder}: no permission to write in {place}; give another --output")
