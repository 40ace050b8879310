"""Hugging Face `datasets`, iterable: shards shuffled, then samples in a buffer of 1,000.

Its state does not hold the buffer: after resuming, other samples come than without an interruption,
and those that were in the buffer never come in that epoch.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.peers.huggingface import opened, prepare, values_of, write
from benchmarks.peers.loader import Loader
from benchmarks.peers.samples import BATCH_ROWS, SEED, SHARDS, Values

BUFFER = 1000


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """Epoch after epoch of one data set."""
    dataset = _shuffled(folder)
    if consumed_rows:
        dataset.load_state_dict(_saved_state(folder, consumed_rows))
    epoch = 0
    while True:
        dataset.set_epoch(epoch)
        for table in dataset.iter(batch_size=BATCH_ROWS, drop_last_batch=True):
            yield values_of(table)
        epoch += 1


@cache
def _saved_state(folder: Path, consumed_rows: int) -> Any:
    """As a run saves it on its way; only the first call has to read so far."""
    dataset = _shuffled(folder)
    whole = dataset.iter(batch_size=BATCH_ROWS, drop_last_batch=True)
    for _ in islice(whole, consumed_rows // BATCH_ROWS):
        pass
    return dataset.state_dict()


def _shuffled(folder: Path) -> Any:
    dataset = opened(folder).to_iterable_dataset(num_shards=SHARDS)
    return dataset.shuffle(seed=SEED, buffer_size=BUFFER)


LOADER = Loader(
    name="HF datasets, iterable",
    distribution="datasets",
    shuffle=f"shards, then a buffer of {BUFFER:,}",
    prepare=prepare,
    write=write,
    batches=batches,
)
