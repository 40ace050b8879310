"""Ours: `RowStream` as it comes: all verified, global shuffle, prefetch by thread."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.peers.loader import Loader
from benchmarks.peers.samples import BATCH_ROWS, SEED, SHARDS, Values


def prepare() -> None:
    """The import of the stream."""
    import pipeline.stream  # noqa: F401


def write(rows: Values, folder: Path) -> None:
    """A data set of 24 plain Arrow shards, each of five record batches."""
    from benchmarks.peers.glm import FORMAT
    from benchmarks.row_dataset import write_rows

    write_rows(folder, FORMAT, np.array_split(rows, SHARDS))


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """The rows of `RowStream`'s batches."""
    from pipeline.stream import RowStream

    with RowStream(folder, BATCH_ROWS, seed=SEED, consumed_rows=consumed_rows) as stream:
        for batch in stream:
            yield batch.rows


LOADER = Loader(
    name="RowStream",
    distribution="blankstream",
    shuffle="all rows",
    prepare=prepare,
    write=write,
    batches=batches,
)
