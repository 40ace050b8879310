"""Names of the files of a data set: which may be, and how they are told from temporary ones.

Stands below both kinds of store.
"""

from schemas.errors import DatasetError
from schemas.storage import TEMPORARY_MARK


def checked_name(place: str, name: str) -> str:
    """`name` itself; `DatasetError` when it could lead out of the data set at `place`.

    A name has parts joined by single forward slashes, none of them `.` or `..`, and neither
    backslash nor NUL.
    """
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\\" in name or "\0" in name:
        raise DatasetError(
            f"{place}: holds the file name {name!r}, which must be relative and must not lead out "
            "of the data set; build the data set again, or take it from a source that you trust"
        )
    return name


def is_temporary(name: str) -> bool:
    """Whether a file of this name is part of nothing yet."""
    return TEMPORARY_MARK in name.rpartition("/")[2]
