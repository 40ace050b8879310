"""The yardstick: 64 random rows at a time from four arrays in RAM, of a row's bytes altogether.

One fancy index per array and batch, the rows drawn with replacement: nothing else is measured.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.peers.loader import Loader
from benchmarks.peers.samples import BATCH_ROWS, SEED, Values

ARRAYS = 4


def prepare() -> None:
    """NumPy is all there is."""


def write(rows: Values, folder: Path) -> None:
    """The rows cut into four arrays of equal width."""
    folder.mkdir()
    for number, part in enumerate(np.split(rows, ARRAYS, axis=1)):
        np.save(folder / f"{number}.npy", part)


def gather(arrays: list[Values], random: np.random.Generator) -> list[Values]:
    """One batch; its code is what every ratio of the table refers to."""
    rows = random.integers(0, len(arrays[0]), BATCH_ROWS)
    return [array[rows] for array in arrays]


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """Its first array stands for the batch; there is no order to resume."""
    arrays = [np.load(folder / f"{number}.npy") for number in range(ARRAYS)]
    random = np.random.default_rng([SEED, consumed_rows])
    while True:
        yield gather(arrays, random)[0]


LOADER = Loader(
    name="gather in RAM",
    distribution="",
    shuffle="with replacement",
    prepare=prepare,
    write=write,
    batches=batches,
)
