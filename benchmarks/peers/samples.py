"""What every loader is given and hands out: rows of 16 bits, in shuffled batches of 64.

A sample is one row of 4 x 512 numbers and three columns of layout for 8 samples, 4,144 bytes; a
batch is an array (64, WIDTH) of them, whichever way a loader stores a sample. `glm.py` makes them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]

ROWS, BATCH_ROWS, SEED = 100_000, 64, 1
TOKENS, MAX_SAMPLES = 512, 8
WIDTH, DTYPE = 4 * TOKENS + 3 * MAX_SAMPLES, "uint16"
SHARDS = 24
"""Files that a loader's data set consists of, where that can be chosen."""


def parts(rows: Values, count: int = SHARDS) -> Iterator[Values]:
    """The rows in `count` contiguous parts of nearly equal size."""
    yield from np.array_split(rows, count)


def stacked(samples: list[bytes]) -> Values:
    """A batch (n, width) from the bytes of its samples: one join, the cheapest way there is."""
    return np.frombuffer(b"".join(samples), DTYPE).reshape(len(samples), WIDTH)
