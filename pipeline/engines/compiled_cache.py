"""How the functions of `compiled*.py` become machine code, and where that is kept.

`kernel` marks what Python calls, `helper` what kernels call. Machine code is kept on disk, so that
a worker process loads in a fraction of a second what it would compile in many. numba looks only
at a kernel's own file to see whether its code is stale; the folder's name therefore holds a digest
of all `compiled*.py` and of `randomness.py`, whose constants they take in.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba
import xxhash

from pipeline import randomness

P = ParamSpec("P")
R = TypeVar("R")


def helper(function: Callable[P, R]) -> Callable[P, R]:
    """`function` for the use of kernels; compiled, and mostly inlined, as part of them."""
    return cast("Callable[P, R]", numba.njit(function))


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """`function` compiled on its first call, or loaded where it was compiled before.

    Where no folder can be written, every process compiles for itself.
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
    """The first folder for this version of the code that can be written, else None.

    Tried in order: below `chosen` (numba's NUMBA_CACHE_DIR) or beside this file's byte code, then
    below ~/.cache/blankstream.
    """
    here = Path(__file__).parent
    bases = [Path(chosen) if chosen else here / "__pycache__"]
    bases.append(Path(os.path.expanduser("~")) / ".cache" / "blankstream")
    files = [*sorted(here.glob("compiled*.py")), Path(randomness.__file__)]
    sources = b"".join(path.read_bytes() for path in files)
    for base in bases:
        folder = base / f"compiled-{xxhash.xxh3_64_hexdigest(sources)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None
