"""The page cache: what of some files is in it, and how to drop them from it without being root."""

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def drop(paths: Iterable[Path]) -> None:
    """Write each file back and tell the kernel (`POSIX_FADV_DONTNEED`) that nobody needs it.

    Pages that some process has mapped stay, and a file system may ignore it; see `resident_share`.
    """
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def resident_share(paths: Iterable[Path]) -> float:
    """Share of the files' pages that are in the page cache, as `mincore` says; 0 for no pages."""
    resident, total = 0, 0
    for path in paths:
        if pages := _resident_pages(path):
            resident, total = resident + sum(pages), total + len(pages)
    return resident / max(total, 1)


def _resident_pages(path: Path) -> bytes:
    """One byte per page of the file, 1 where it is in the cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = path.stat().st_size
    if not size:
        return b""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), size, prot=mmap.PROT_READ) as mapped:
        bytes_of = np.frombuffer(mapped, np.uint8)
        states = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        address = ctypes.c_void_p(bytes_of.ctypes.data)
        failed = libc.mincore(address, ctypes.c_size_t(size), states)
        del bytes_of
    if failed:
        raise OSError(ctypes.get_errno(), f"{path}: mincore failed")
    return bytes(state & 1 for state in states)


def files_below(folder: Path) -> list[Path]:
    """All regular files below `folder`."""
    return [path for path in folder.rglob("*") if path.is_file()]
