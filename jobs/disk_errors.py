"""What a disk that refuses says, with what to do about it: the data set's, or that of temporary
files.
"""

import errno
import os
import tempfile
from pathlib import Path

from pipeline.readers.remote import is_url
from schemas.errors import BlankstreamError
from schemas.storage import TEMPORARY_MARK

_REMEDIES = {
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space within the quota",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)

_CLEARLY = 10
"""How many times as much the other disk has free of one that was the full one."""


def disk_error(place: str, error: OSError) -> BlankstreamError:
    """What a disk says, with what to do; `str(error)` may come without a file's name.

    `place` is the path or URL of the data set. Where neither the file's name nor the space that is
    left tells which disk was full, the message names both.
    """
    folder = tempfile.gettempdir()
    is_there = _is_temporary_folder(place, folder, error)
    subject = f"the folder of temporary files, {folder}, " if is_there else ""
    what = os.strerror(error.errno) if error.errno else str(error)
    name = f" {error.filename}" if error.filename else ""
    return BlankstreamError(
        f"{place}: {subject}cannot be written ({what}{name}); what was finished stays: "
        f"{_remedy(error, folder, is_there)}, and run the same command again"
    )


def _remedy(error: OSError, folder: str, is_there: bool | None) -> str:
    if error.errno == errno.ENOENT and (is_there or _names_draft(error)):
        return "a file that was being written is gone, look for another program that deletes it"
    remedy = _REMEDIES.get(error.errno or 0, "look at the disk")
    if is_there and error.errno != errno.EMFILE:
        return f"{remedy}, or set TMPDIR to a folder on another one"
    return remedy if is_there is not None else f"{remedy}, or on that of TMPDIR ({folder})"


def _is_temporary_folder(place: str, folder: str, error: OSError) -> bool | None:
    """Whether `folder`, not the data set, could not be written; None when it may be either."""
    if is_url(place):
        # A server that fails is no `OSError`, except where a connection of workers breaks.
        return not isinstance(error, ConnectionError | TimeoutError)
    if error.filename:
        return not _is_below(error.filename, place) and _is_below(error.filename, folder)
    if error.errno not in _FULL:
        return False
    return _is_fuller(folder, place)


def _is_fuller(folder: str, place: str) -> bool | None:
    """Whether the disk of `folder` is the full one, not that of `place`; None where unclear.

    What did not fit may be deleted by now, so that neither has to be full any longer.
    """
    first, second = _existing(folder), _existing(place)
    if first.stat().st_dev == second.stat().st_dev:
        return False
    free, other = _free_bytes(first), _free_bytes(second)
    if _CLEARLY * free < other:
        return True
    return False if _CLEARLY * other < free else None


def _existing(place: str) -> Path:
    path = Path(place).absolute()
    return next(one for one in (path, *path.parents) if one.exists())


def _free_bytes(path: Path) -> int:
    """Bytes that may be written; 0 where no file can be made any more."""
    disk = os.statvfs(path)
    return 0 if disk.f_files and not disk.f_favail else disk.f_bavail * disk.f_frsize


def _is_below(name: object, folder: str) -> bool:
    if not isinstance(name, str | bytes):
        return False
    return Path(os.path.realpath(os.fsdecode(name))).is_relative_to(os.path.realpath(folder))


def _names_draft(error: OSError) -> bool:
    """Whether the file has a temporary name, which Arrow says only in its text."""
    return TEMPORARY_MARK in str(error.filename or error)
