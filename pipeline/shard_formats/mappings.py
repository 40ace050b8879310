"""Files mapped into memory for reading, without a file descriptor for each.

Stands below `verified_file.py`. Python's own mapping keeps a descriptor, of which a process has a
thousand or so; the kernel's mapping (mmap(2)) needs none once it is made, and Linux allows 65,530
of them (`vm.max_map_count`).
"""

import ctypes
import errno
import mmap
import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.errors import BlankstreamError, UnreadableError

_FAILED = ctypes.c_void_p(-1).value


def _kernel_calls() -> tuple[Any, Any] | None:
    """mmap and munmap of the C library; None where they are not to be had as 64-bit POSIX has
    them: other sizes of `off_t` would need other calls."""
    if os.name != "posix" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        make, end = library.mmap, library.munmap
    except (OSError, AttributeError):
        return None
    place, size, number, offset = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_long
    make.argtypes, make.restype = (place, size, number, number, number, offset), place
    end.argtypes, end.restype = (place, size), number
    return make, end


_CALLS = _kernel_calls()

HOLDS_DESCRIPTORS = _CALLS is None
"""Whether each mapping takes one of this process's file descriptors."""


_EXHAUSTED = {
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "raise the limit of open files (`sysctl fs.file-max`)",
    errno.ENOMEM: "raise the limit of mapped files (`sysctl vm.max_map_count`)",
}
"""Errors of limits that have been reached, and what raises these."""


_REFUSED = (errno.EACCES, errno.EPERM)


def check_blame(path: Path, error: OSError) -> None:
    """Raise where the file is not to blame for the error of opening it: `UnreadableError` when this
    user may not read it, `BlankstreamError` because of a limit of the system."""
    if error.errno in _REFUSED:
        raise UnreadableError(
            f"{path}: cannot be opened ({error.strerror}), which is no damage; ask its owner for "
            "permission, or read as a user who has it"
        ) from error
    if error.errno in _EXHAUSTED:
        raise BlankstreamError(
            f"{path}: cannot be opened ({error.strerror}); the file is not to blame: "
            f"{_EXHAUSTED[error.errno]} or give fewer data sets"
        ) from error


class Descriptor:
    """A second descriptor of an open file, closed when nothing refers to this object."""

    def __init__(self, number: int) -> None:
        self._number = -1
        self._number = os.dup(number)

    def __del__(self) -> None:
        if self._number >= 0:
            os.close(self._number)

    def status(self) -> os.stat_result:
        """What is known of the file, whatever its name."""
        return os.fstat(self._number)


class _Mapping:
    """Pages of a file at `address`, until nothing refers to this object.

    A process that is forked has the same pages under its own copy of this object, and lets go of
    its own only.
    """

    def __init__(self, descriptor: int, num_bytes: int, calls: tuple[Any, Any]) -> None:
        make, self._end = calls
        self.address, self._num_bytes = _FAILED, num_bytes
        self.address = make(None, num_bytes, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if self.address == _FAILED:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    def __del__(self) -> None:
        if self.address != _FAILED:
            self._end(self.address, self._num_bytes)


def map_file(descriptor: int, num_bytes: int) -> pa.Buffer:
    """The first `num_bytes` bytes, above 0, of an open file, read-only, zero-copy.

    The descriptor may be closed at once. The bytes stay in memory as long as the buffer or anything
    made of it without a copy; of a file that is shorter, or becomes so, the part that is missing
    must not be touched. `OSError` with `ENOMEM` when there are too many mappings.
    """
    if _CALLS is None:
        try:
            return pa.py_buffer(mmap.mmap(descriptor, num_bytes, access=mmap.ACCESS_READ))
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error)) from error
    mapping = _Mapping(descriptor, num_bytes, _CALLS)
    return pa.foreign_buffer(mapping.address, num_bytes, mapping)
