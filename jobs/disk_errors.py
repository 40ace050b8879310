"""What a disk that refuses says, with what to do about it."""

import errno
import os

from schemas.errors import BlankstreamError

_REMEDIES = {
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space within the quota",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
}


def disk_error(place: str, error: OSError) -> BlankstreamError:
    """What a disk says, with what to do; `str(error)` may come without a file's name."""
    remedy = _REMEDIES.get(error.errno or 0, "look at the disk")
    what = os.strerror(error.errno) if error.errno else str(error)
    name = f" {error.filename}" if error.filename else ""
    return BlankstreamError(
        f"{place}: cannot be written ({what}{name}); what was finished stays: {remedy}, and run "
        "the same command again"
    )
