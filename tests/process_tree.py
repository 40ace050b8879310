"""Processes below one, from /proc: who they are, and which are at work."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, parents first."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(0), [])
        found += children
        waiting += children
    return found


def command_of(pid: int) -> str:
    """Its command line; empty when it is gone."""
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    return ""


def cpu_ticks(pid: int) -> int:
    """Ticks of CPU time so far, -1 when it is gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return -1


def busy(pids: list[int], seconds: float = 0.04) -> list[int]:
    """Those that used the CPU within the next `seconds`, the busiest first."""
    before = {pid: cpu_ticks(pid) for pid in pids}
    time.sleep(seconds)
    used = {pid: cpu_ticks(pid) - ticks for pid, ticks in before.items()}
    return sorted((pid for pid in pids if used[pid] > 0), key=lambda pid: -used[pid])


def kill(pid: int) -> bool:
    """`kill -9`; whether it was there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False
