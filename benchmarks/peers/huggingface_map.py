"""Hugging Face `datasets`, map style: 64 random indices at a time, of a permutation of our own.

That is what a `DataLoader` with a random sampler does, without the loader. `Dataset.shuffle` is a
little slower, since it looks each index up in a table.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.huggingface import opened, prepare, values_of, write
from benchmarks.peers.loader import Loader
from benchmarks.peers.numpy_memmap import permuted_places
from benchmarks.peers.samples import BATCH_ROWS, Values


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """Batches by permutation."""
    dataset = opened(folder)
    for order, start in permuted_places(len(dataset), consumed_rows):
        yield values_of(dataset[order[start : start + BATCH_ROWS]])


LOADER = Loader(
    name="HF datasets, map",
    distribution="datasets",
    shuffle="all rows",
    prepare=prepare,
    write=write,
    batches=batches,
)
