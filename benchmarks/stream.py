"""`RowStream`, verified and globally shuffled, against a random gather of the same bytes in RAM.

100,000 rows in 24 shards, batches of 64, one process, warm page cache, interleaved in one run. The
yardstick gathers 64 random rows from four arrays at a time. Prints one JSON line.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.stream import RowStream
from schemas.samples import RowFormat
from tests.datasets import write_dataset

ROWS, SHARDS, TOKENS, BATCH_ROWS, BATCHES, ROUNDS = 100_000, 24, 512, 64, 800, 7


def gather_in_ram(arrays: list[np.ndarray], random: np.random.Generator) -> None:
    for _ in range(BATCHES):
        rows = random.integers(0, ROWS, BATCH_ROWS)
        for array in arrays:
            array[rows]


def take(stream: RowStream) -> None:
    for _ in range(BATCHES):
        next(stream)


def rows_per_second(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return BATCHES * BATCH_ROWS / (time.perf_counter() - start)


def seconds_to_first_batch(dataset: Path, consumed_rows: int) -> float:
    start = time.perf_counter()
    with RowStream({dataset: 1.0}, consumed_rows=consumed_rows) as stream:
        next(stream)
    return time.perf_counter() - start


def main() -> None:
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 30000, (ROWS, TOKENS), dtype=np.uint16) for _ in range(4)]
    row_format = RowFormat.for_vocabulary(30_000, TOKENS, 8, ("blank",))
    with tempfile.TemporaryDirectory() as folder:
        dataset = write_dataset(
            Path(folder) / "d", rows=ROWS, shards=SHARDS, batch_rows=4096, row_format=row_format
        )
        first = statistics.median(seconds_to_first_batch(dataset, 0) for _ in range(5))
        resume = statistics.median(seconds_to_first_batch(dataset, 5_000_000) for _ in range(5))
        ours, ram = [], []
        with RowStream({dataset: 1.0}, batch_rows=BATCH_ROWS) as stream:
            for _ in range(ROWS // (BATCHES * BATCH_ROWS) + 1):
                take(stream)  # the first epoch touches and verifies everything
            for _ in range(ROUNDS):
                ours.append(rows_per_second(lambda: take(stream)))
                ram.append(rows_per_second(lambda: gather_in_ram(arrays, random)))
    result = {
        "benchmark": "stream",
        "rows_per_second": round(statistics.median(ours)),
        "ram_gather_rows_per_second": round(statistics.median(ram)),
        "ratio": round(statistics.median(a / b for a, b in zip(ours, ram, strict=True)), 2),
        "first_batch_seconds": round(first, 3),
        "resume_seconds": round(resume, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
