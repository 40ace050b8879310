"""One loader in a process of its own: does what it is told by lines on stdin, answers on stdout.

    python -m benchmarks.peers.worker NAME FOLDER

`SAMPLES` is the file of all samples, `FOLDER` where the loader's data set is (or will be). Commands
are JSON lists, a method of `Worker` and its arguments; answers are JSON. The loader rests between
commands, but for what its threads fetch ahead, so that several can be raced in turns. What a
library prints goes to stderr.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.loader import Loader, find_loader
from benchmarks.peers.samples import BATCH_ROWS, WIDTH, Values

_PATIENCE_SECONDS = 3.0

_LOOK = 4
"""Batches between two looks at the clock."""


class Worker:
    """What can be asked of a loader; times are seconds."""

    def __init__(self, loader: Loader, folder: Path) -> None:
        self._loader, self._folder = loader, folder
        start = time.perf_counter()
        loader.prepare()
        self._import_seconds = time.perf_counter() - start
        self._batches: Iterator[Values] = iter(())

    def write(self, samples: str) -> float:
        """Store the samples of the file `samples`; how long it took."""
        rows = np.load(samples, mmap_mode="r")
        start = time.perf_counter()
        self._loader.write(rows, self._folder)
        return time.perf_counter() - start

    def start_up(self) -> tuple[float, float]:
        """Seconds of the import, and from there to the first batch; only once in a process."""
        return self._import_seconds, self._seconds_to_batch(0)

    def first(self, consumed_rows: int, times: int) -> float:
        """Median time to the first batch behind `consumed_rows`, opened anew `times` times, or
        fewer where that takes long; one more is not counted: it imports, compiles, and touches
        pages."""
        found = [self._seconds_to_batch(consumed_rows) for _ in range(2)]
        while len(found) <= times and sum(found) < _PATIENCE_SECONDS:
            found.append(self._seconds_to_batch(consumed_rows))
        return statistics.median(found[1:])

    def resumes_exactly(self, consumed_rows: int) -> bool:
        """Whether resuming there gives the batch that would have come without an interruption."""
        steps = consumed_rows // BATCH_ROWS
        whole, resumed = self._loader.batches(self._folder, 0), self._open(consumed_rows)
        expected = next(islice(whole, steps, None)).copy()
        _close(whole)
        return bool(np.array_equal(expected, next(resumed)))

    def shuffle(self, samples: str, num_batches: int) -> float | None:
        """How far apart the rows of a batch lie in the data set, 1 for a perfect shuffle; None for
        what does not hand out whole rows. `AssertionError` for a row that is none of the samples,
        or comes twice in the first epoch."""
        from benchmarks.shuffle_quality import distance

        rows = np.load(samples, mmap_mode="r")
        places = {row.tobytes(): place for place, row in enumerate(rows)}
        num_batches = min(num_batches, len(rows) // BATCH_ROWS)
        found = [batch.copy() for batch in islice(self._open(0), num_batches)]
        if found[0].shape[1:] != (WIDTH,):
            return None
        taken = np.array([[places.get(row.tobytes(), -1) for row in batch] for batch in found])
        if taken.min() < 0 or len(np.unique(taken)) < taken.size:
            raise AssertionError(f"{self._loader.name}: rows that are no samples, or come twice")
        return distance(taken, len(rows))

    def warm_up(self, rows: int, seconds: float) -> float:
        """Read `rows` rows, or as many as that time allows; rows/s."""
        self._batches = self._open(0)
        return self._race(rows, seconds)

    def run(self, seconds: float) -> float:
        """Rows per second, over that long, from where the last command ended."""
        return self._race(1 << 62, seconds)

    def _race(self, rows: int, seconds: float) -> float:
        start = time.perf_counter()
        taken = 0
        while taken < rows:
            for batch in islice(self._batches, _LOOK):
                taken += len(batch)
            passed = time.perf_counter() - start
            if passed > seconds:
                break
        return taken / passed

    def _open(self, consumed_rows: int) -> Iterator[Values]:
        _close(self._batches)
        return self._loader.batches(self._folder, consumed_rows)

    def _seconds_to_batch(self, consumed_rows: int) -> float:
        start = time.perf_counter()
        batches = self._open(consumed_rows)
        first = next(batches)
        seconds = time.perf_counter() - start
        assert len(first) == BATCH_ROWS
        _close(batches)
        return seconds


def _close(batches: Any) -> None:
    getattr(batches, "close", lambda: None)()


def main() -> None:
    name, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(find_loader(name), Path(folder))
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        print(json.dumps(getattr(worker, method)(*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
