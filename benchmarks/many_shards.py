"""Rows per second of each order over ever more shards: what a global shuffle of many files costs.

Rows of 140 bytes, shards of 3,448, page cache warm, batches of 64. A gather of 4,096 rows in global
order touches up to as many shards, at whose files it looks, 3 us each; a window touches 16. Shards
are opened again, 100 us each, where there are more than `MAX_OPEN_SHARDS`, which `auto` leaves to
the windowed order. The warm-up opens what it can. Prints one JSON line for each number of shards.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.wide_dataset import write_wide
from pipeline.stream import RowStream

SHARDS = (24, 256, 1024, 4096)
BATCH_ROWS, WINDOW_SHARDS = 64, 16


def rows_per_second(folder: Path, window_shards: int | None, seconds: float) -> int:
    """Rows per second over that long, after as long a warm-up."""
    order = "global" if window_shards is None else "windowed"
    with RowStream(folder, BATCH_ROWS, order=order, window_shards=window_shards) as stream:
        _race(stream, seconds)
        return round(_race(stream, seconds))


def _race(stream: RowStream, seconds: float) -> float:
    start, batches = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds or not batches:
        next(stream)
        batches += 1
    return batches * BATCH_ROWS / passed


def measure(shards: int, seconds: float) -> dict[str, object]:
    """Both orders over so many shards."""
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        folder = Path(name) / "wide"
        write_wide(folder, shards)
        return {
            "benchmark": "many_shards",
            "shards": shards,
            "global_rows_per_second": rows_per_second(folder, None, seconds),
            "windowed_rows_per_second": rows_per_second(folder, WINDOW_SHARDS, seconds),
        }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="See the module's docstring.")
    parser.add_argument("--shards", type=int, nargs="+", default=SHARDS)
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args([] if arguments is None else arguments)
    for shards in asked.shards:
        print(json.dumps(measure(shards, asked.seconds)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
