"""The folder of a Ray of our own, and the processes that are known by it: neither stays behind.

Used by `ray_session.py`. Ray ends its own processes in most cases; where it was interrupted, or one
of them was killed, others would go on for minutes and write into the folder.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MAX_TEMPORARY_CHARACTERS = 30
"""A socket's path ends at 107 characters, of which Ray takes about seventy."""
_END_SECONDS = 4.0
_KILLED_SECONDS = 3.0
_PAUSE_SECONDS = 0.05
_WRITABLE = 0o200


@contextmanager
def folder_of_ray() -> Iterator[str]:
    """A temporary folder; in the end nothing is left of it, nor of the processes that use it."""
    parent = tempfile.gettempdir()
    short = parent if len(parent) <= _MAX_TEMPORARY_CHARACTERS else "/tmp"  # noqa: S108
    folder = tempfile.mkdtemp(prefix="bs-", dir=short)
    try:
        yield folder
    finally:
        end_processes(folder)
        remove_folder(folder)


@contextmanager
def temporary_files_in(folder: str) -> Iterator[None]:
    """For processes started meanwhile, which are killed in the end and clear nothing up."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def end_processes(folder: str) -> None:
    """Wait a few seconds until no process writes below `folder`, then kill those that still do.

    `folder` is private to this process: what writes there was started for it. This process is left
    out. Where there is no /proc nothing is known and nothing is done.
    """
    deadline = time.monotonic() + _END_SECONDS
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    deadline = time.monotonic() + _KILLED_SECONDS
    while left and time.monotonic() < deadline:
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)
        left = processes_of(folder)


def processes_of(folder: str) -> list[int]:
    """Those, other than this one, that have a file below `folder` open for writing, or were started
    with it as their folder of temporary files.

    Ray renames its processes, which takes command line and environment away from what /proc shows.
    """
    pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if pid != os.getpid() and _belongs(pid, folder)]


def _belongs(pid: int, folder: str) -> bool:
    process = Path(f"/proc/{pid}")
    with suppress(OSError):  # gone, or of another user
        variables = (process / "environ").read_bytes().split(b"\0")
        if f"TMPDIR={folder}".encode() in variables:
            return True
        for link in (process / "fd").iterdir():
            with suppress(OSError):
                is_below = os.readlink(link).startswith(f"{folder}/")
                if is_below and link.lstat().st_mode & _WRITABLE:
                    return True
    return False


def remove_folder(folder: str) -> None:
    """Remove it with all that is in it, trying again while something is still being written."""
    deadline = time.monotonic() + _KILLED_SECONDS
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder) or time.monotonic() >= deadline:
            return
        time.sleep(_PAUSE_SECONDS)
