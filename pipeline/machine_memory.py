"""How much memory this machine, or the container around this process, can still give.

Used to decide how many tasks of a build may run at once, and whether a batch fits. Linux only:
elsewhere nothing is known and nothing is limited.
"""

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED_BYTES = 2**60
"""A limit above this is the kernel's way to say that there is none."""


def available_memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Bytes that can be used before something is killed: the least of what the machine has left
    and what each cgroup around this process has left; None where that is not known.

    Memory of a cgroup that only caches files counts as free, for the kernel takes it back.
    """
    left = [*_machine(proc / "meminfo"), *_around_this_process(proc / "self/cgroup", cgroups)]
    return max(0, min(left)) if left else None


def _machine(meminfo: Path) -> Iterator[int]:
    for line in _lines(meminfo):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _around_this_process(memberships: Path, cgroups: Path) -> Iterator[int]:
    """Bytes left of each limit, of version 2 (`0::/path`) and of version 1 (`4:memory:/path`)."""
    for line in _lines(memberships):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _upwards(cgroups, path):
                yield from _left(folder, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            for folder in _upwards(cgroups / "memory", path):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from _left(folder, *names)


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """The folder `path` below `root`, and every one above it up to `root` itself.

    Inside a container the path is often that of the host, and only the root is there.
    """
    inside = Path(path.strip("/"))
    yield from (root / folder for folder in (inside, *inside.parents) if ".." not in folder.parts)


def _left(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> Iterator[int]:
    limit, usage = (_number(folder / name) for name in (limit_name, usage_name))
    if limit is None or usage is None or limit > _UNLIMITED_BYTES:
        return
    cached = [
        int(line.split()[1])
        for line in _lines(folder / "memory.stat")
        if line.split()[0] == cache_name
    ]
    yield limit - usage + sum(cached)


def _number(path: Path) -> int | None:
    """None for a file that is absent, or says `max`."""
    text = "".join(_lines(path))
    return int(text) if text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
