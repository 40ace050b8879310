"""Telling a process from a later one of the same number. Used by the status of a build."""

import os
from pathlib import Path


def process_mark(pid: int) -> str:
    """What no other process of this machine has, not even one of the same `pid` later.

    Empty where there is no such process, it has ended, or nothing is known of it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The command's name, in parentheses, may hold anything.
        state, *others = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return "" if state in (b"Z", b"X") else f"{boot}/{pid}/{int(others[18])}"
    except (OSError, ValueError, IndexError):
        return ""


def is_alive(pid: int, mark: str) -> bool:
    """Whether the process `pid` of this machine is there; `mark` is its `process_mark` if known."""
    if mark:
        return process_mark(pid) == mark
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
