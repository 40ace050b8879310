"""Streams over three small data sets, for the tests of streams."""

import itertools
from pathlib import Path

import numpy as np

from pipeline.stream import Batch, RowStream
from tests.datasets import Content, write_dataset

CONTENTS = [Content(), Content(rows=17, shards=2, seed=1), Content(rows=3, shards=1, seed=2)]


def write_contents(folder: Path) -> list[Path]:
    """The data sets of `CONTENTS`."""
    return [write_dataset(folder / str(n), content) for n, content in enumerate(CONTENTS)]


def read(datasets, limit: int | None = None, **arguments) -> list[Batch]:
    """Up to `limit` batches."""
    with RowStream(datasets, **arguments) as stream:
        return list(itertools.islice(stream, limit))


def visits(batches: list[Batch]) -> list[tuple[int, int]]:
    """(index of data set, row number) of every row, in order."""
    return [
        pair
        for batch in batches
        for pair in zip(batch.datasets.tolist(), batch.row_numbers.tolist(), strict=True)
    ]


def row_numbers(batches: list[Batch]) -> list[int]:
    """Row number of every row, in order."""
    return np.concatenate([batch.row_numbers for batch in batches]).tolist()
