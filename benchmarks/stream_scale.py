"""A stream over ten billion rows in 2.9 million shards: what start, order and resuming cost.

    python -m benchmarks.stream_scale [--shards N]

Each line is a fresh process, imports apart: seconds, and how far its resident memory rose, mapped
files included. `first batch` needs rows, not only their numbers: 64 blocks of the table and 64
shards of half a megabyte are opened and hashed for it. Prints one JSON line for each.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.wide_dataset import SHARDS, write_wide
from pipeline.orders.segments import State
from pipeline.stream import RowStream

BATCH_ROWS, TIMES = 64, 3
ORDERS = ("global", "windowed")

Stage = Callable[[Path, str, State], None]


def start(folder: Path, order: str, state: State) -> None:
    """The stream, from its first row on."""
    RowStream(folder, BATCH_ROWS, order=order)


def first_order_lookup(folder: Path, order: str, state: State) -> None:
    """The stream, and which rows its first batch has."""
    look_up(RowStream(folder, BATCH_ROWS, order=order), 0)


def resume(folder: Path, order: str, state: State) -> None:
    """The stream from a state, and which rows its next batch has."""
    look_up(RowStream(folder, BATCH_ROWS, order=order, state=state), state["consumed_rows"])


def look_up(stream: RowStream, place: int) -> None:
    """Row numbers of the batch at `place`, which nothing else needs before its rows."""
    _, numbers = stream.rows_at(place, place + BATCH_ROWS)
    assert len(set(numbers.tolist())) == BATCH_ROWS


def first_batch(folder: Path, order: str, state: State) -> None:
    """The stream, and the rows of its first batch."""
    with RowStream(folder, BATCH_ROWS, order=order) as stream:
        next(stream)


def first_batch_resumed(folder: Path, order: str, state: State) -> None:
    """The stream from a state, and the rows of its next batch."""
    with RowStream(folder, BATCH_ROWS, order=order, state=state) as stream:
        next(stream)


STAGES: dict[str, Stage] = {
    "start": start,
    "first order lookup": first_order_lookup,
    "resume": resume,
    "first batch": first_batch,
    "first batch after resuming": first_batch_resumed,
}


def measure_here(stage: str, folder: Path, order: str, state: State) -> dict[str, float]:
    """Seconds of the stage and megabytes it needed at its peak, in this process."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status_bytes("VmRSS")
    begin = time.perf_counter()
    STAGES[stage](folder, order, state)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "megabytes": (_status_bytes("VmHWM") - before) / 1e6}


def _status_bytes(key: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def measure(stage: str, folder: Path, order: str, state: State) -> dict[str, Any]:
    """The same in fresh processes: median time, largest memory."""
    arguments = ["--one", stage, str(folder), order, json.dumps(state)]
    command = [sys.executable, "-m", "benchmarks.stream_scale", *arguments]
    found = []
    for _ in range(TIMES):
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise RuntimeError(done.stderr)
        found.append(json.loads(done.stdout))
    seconds = statistics.median(one["seconds"] for one in found)
    return {
        "benchmark": "stream_scale",
        "order": order,
        "stage": stage,
        "milliseconds": round(1000 * seconds, 1),
        "peak_megabytes": round(max(one["megabytes"] for one in found), 1),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="See the module's docstring.")
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args([] if arguments is None else arguments)
    if asked.one:
        stage, folder, order, state = asked.one
        print(json.dumps(measure_here(stage, Path(folder), order, json.loads(state))))
        return
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        folder = Path(name) / "wide"
        rows = write_wide(folder, asked.shards)
        place = random.Random(1).randrange(rows)  # noqa: S311
        for order in ORDERS:
            state = RowStream(folder, BATCH_ROWS, consumed_rows=place, order=order).state()
            for stage in STAGES:
                print(json.dumps(measure(stage, folder, order, state) | {"rows": rows}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
