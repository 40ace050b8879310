"""CPU time of a process and of everything below it, as Linux counts it."""

import os
from pathlib import Path


def tree_cpu_seconds(root: int) -> float:
    """User and system time of the process `root` and its descendants, ended ones too as far as
    somebody among them waited for them."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _fields(folder)):
            parents[int(folder.name)] = int(fields[1])
            ticks[int(folder.name)] = sum(int(field) for field in fields[11:15])
    below = {root}
    while added := {child for child, parent in parents.items() if parent in below} - below:
        below |= added
    return sum(ticks.get(process, 0) for process in below) / os.sysconf("SC_CLK_TCK")


def _fields(folder: Path) -> list[str]:
    """Fields of `stat` from the state on, behind the name, which may hold anything."""
    try:
        text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
