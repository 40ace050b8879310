"""One mapped file, one fancy index per batch: what NumPy alone can do, nothing verified.

The order is a stored permutation of all rows, drawn anew for each epoch: O(N) memory, and the start
of an epoch costs O(N) time.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.peers.loader import Loader
from benchmarks.peers.samples import BATCH_ROWS, DTYPE, SEED, WIDTH, Values


def prepare() -> None:
    """NumPy is all there is."""


def write(rows: Values, folder: Path) -> None:
    """One file of rows."""
    folder.mkdir()
    rows.tofile(folder / "rows")


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """Batches by permutation."""
    rows = np.memmap(folder / "rows", DTYPE, "r").reshape(-1, WIDTH)
    for order, start in permuted_places(len(rows), consumed_rows):
        yield np.asarray(rows[order[start : start + BATCH_ROWS]])


def permuted_places(num_rows: int, consumed_rows: int) -> Iterator[tuple[Values, int]]:
    """For each batch the order of its epoch and its first place there; full batches only."""
    epoch, start = 0, consumed_rows
    while True:
        order = np.random.default_rng([SEED, epoch]).permutation(num_rows)
        for place in range(start, num_rows - BATCH_ROWS + 1, BATCH_ROWS):
            yield order, place
        epoch, start = epoch + 1, 0


LOADER = Loader(
    name="numpy memmap",
    distribution="numpy",
    shuffle="all rows",
    prepare=prepare,
    write=write,
    batches=batches,
)
