"""What a stage of `scale.py` costs its process: CPU seconds and memory, whoever else is busy."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Thing = TypeVar("Thing")


@dataclass
class Meter:
    """CPU time and memory of one stage, over `total` things that pass through it."""

    stage: str
    total: int
    started: float = field(default_factory=time.process_time)
    memory: list[int] = field(default_factory=lambda: [resident_bytes()])

    def through(self, things: Iterable[Thing]) -> Iterator[Thing]:
        """`things` as they are; memory is looked at after a quarter, a half, and all."""
        marks = {self.total // 4, self.total // 2, self.total}
        for count, thing in enumerate(things, start=1):
            yield thing
            if count in marks:
                self.memory.append(resident_bytes())

    def line(self, not_counted: float = 0.0, **more: object) -> dict[str, Any]:
        """What is printed; `not_counted` are seconds that a build would not spend."""
        seconds = time.process_time() - self.started - not_counted
        start, quarter, *_, end = self.memory
        return {
            "benchmark": "scale",
            "stage": self.stage,
            "items": self.total,
            "cpu_seconds_per_million": round(seconds * 1e6 / self.total, 2),
            "memory_megabytes": [round((one - start) / 1e6, 1) for one in self.memory[1:]],
            "bytes_per_item": round((end - quarter) / (0.75 * self.total), 1),
            **more,
        }


def resident_bytes() -> int:
    """Memory of this process itself; mapped files are not counted, for the kernel drops them."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024
