"""How the functions of `compiled*.py` become machine code, and where that is kept.

`kernel` marks what Python calls, `helper` what kernels call. Machine code is kept on disk, so that
a worker process loads in a fraction of a second what it would compile in many. numba looks only
at a kernel's own file to see whether its code is stale; the folder's name therefore holds a digest
of all `compiled*.py` and of `randomness.py`, whose constants they take in. numba unpickles what it
finds in the folder, so one that others could have written to is not used.
"""

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba
import xxhash

from pipeline import randomness

P = ParamSpec("P")
R = TypeVar("R")

UNUSED_SECONDS = 30 * 24 * 3600
"""Time after which no process is expected to use machine code of another version."""

_FOLDER_NAME = re.compile("compiled-[0-9a-f]{16}")


def helper(function: Callable[P, R]) -> Callable[P, R]:
    """`function` for the use of kernels; compiled, and mostly inlined, as part of them."""
    return cast("Callable[P, R]", numba.njit(function))


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """`function` compiled on its first call, or loaded where it was compiled before.

    Where no folder is ours alone to write, every process compiles for itself.
    """
    folder = cache_folder(numba.config.CACHE_DIR)
    if folder is None:
        return cast("Callable[P, R]", numba.njit(function))
    chosen, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        return cast("Callable[P, R]", numba.njit(cache=True)(function))
    finally:
        numba.config.CACHE_DIR = chosen


def cache_folder(chosen: str = "") -> Path | None:
    """The first folder for this version of the code that is ours alone to write, else None.

    Tried in order: below `chosen` (numba's NUMBA_CACHE_DIR) or beside this file's byte code, then
    below ~/.cache/blankstream. Creating one removes those of other versions beside it that no
    process has asked for in `UNUSED_SECONDS`.
    """
    here = Path(__file__).parent
    bases = [Path(chosen) if chosen else here / "__pycache__"]
    bases.append(Path(os.path.expanduser("~")) / ".cache" / "blankstream")
    files = [*sorted(here.glob("compiled*.py")), Path(randomness.__file__)]
    name = f"compiled-{xxhash.xxh3_64_hexdigest(b''.join(path.read_bytes() for path in files))}"
    return next((base / name for base in bases if _is_usable(base / name)), None)


def _is_usable(folder: Path) -> bool:
    """True where `folder` is, or now was made, ours to write; marks it as used today."""
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            _remove_unused(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_private(folder):
            return False
        tempfile.TemporaryFile(dir=folder).close()
        os.utime(folder)
    except OSError:
        return False
    return True


def _is_private(folder: Path) -> bool:
    """True for a folder, not a link, of this user's into which neither group nor others write."""
    found = folder.lstat()
    is_shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not is_shared


def _remove_unused(base: Path) -> None:
    """Remove our folders of other versions; one that is gone or cannot be removed is no matter."""
    for folder in base.iterdir():
        with suppress(OSError):
            if _FOLDER_NAME.fullmatch(folder.name) and _is_private(folder) and _is_unused(folder):
                shutil.rmtree(folder)


def _is_unused(folder: Path) -> bool:
    return folder.lstat().st_mtime < time.time() - UNUSED_SECONDS
