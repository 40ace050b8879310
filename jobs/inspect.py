"""`blankstream inspect`: one row of a data set, and where a page of it may be written.

Stands between `row_views.py` and the pictures `inspect_terminal.py` and `inspect_page.py`.
"""

from pathlib import Path

from jobs.build_place import dataset_around
from jobs.pages.page_assets import PAGE_OPENING
from jobs.row_views import RowViews
from jobs.sample_view import RowView
from jobs.visible import visible
from pipeline.dataset import Dataset
from pipeline.stores.local import LocalStore
from schemas.errors import UserError
from schemas.storage import commit_text


def read_row(dataset: Dataset, split: str, row: int) -> RowView:
    """Row number `row` of `split`, verified.

    Raises `UserError` when there is no such row, otherwise as `RowViews`.
    """
    num_rows = dataset.num_rows(split)
    if not 0 <= row < num_rows:
        raise UserError(
            f"{dataset.name}: row {row} of {split} does not exist; it has {num_rows} rows, counted "
            "from 0"
        )
    with RowViews(dataset, split) as views:
        return views.view(row)


def check_page_place(path: Path) -> None:
    """Raise `UserError` unless a page may be written at `path`: a new file, or an older page.

    Nothing else is ever replaced, and nothing is written into a data set.
    """
    try:
        reason = _why_no_page(path.resolve())
    except (OSError, ValueError) as error:
        reason = f"cannot be written ({getattr(error, 'strerror', None) or error})"
    if reason:
        raise UserError(f"{visible(str(path))}: {reason}; give another --html FILE")


def _why_no_page(path: Path) -> str:
    """Empty where a page may be written."""
    if path.is_dir():
        return "is a folder"
    if outer := dataset_around(LocalStore(path.parent)):
        return f"is inside the data set {outer.place}, which keeps only its own files"
    if not path.parent.is_dir():
        return f"{path.parent} is no folder"
    if path.exists() and not _is_page(path):
        return "exists and is no page of this command"
    return ""


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(PAGE_OPENING)) == PAGE_OPENING.encode()


def write_page(path: Path, page: str) -> None:
    """Write `page` whole or not at all; `UserError` where the system refuses."""
    try:
        commit_text(path.resolve(), page)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); give another --html FILE"
        ) from error
