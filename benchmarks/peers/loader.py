"""What a loader of the race is: a way to store the samples, and endless shuffled batches of them.

Each module beside this one holds `LOADER`, in the fastest sensible configuration for one process
that we found; its docstring says which, and why. What a peer needs is imported inside its
functions, so that its import can be timed apart and one that is not installed harms nobody.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import cast

from benchmarks.peers.samples import BATCH_ROWS, Values, stacked

NAMES = (
    "ram_gather",
    "row_stream",
    "numpy_memmap",
    "mosaicml",
    "litdata",
    "webdataset",
    "huggingface_map",
    "huggingface_iterable",
    "grain",
)
"""The loaders in the order of the table: the yardstick, ours, the peers."""


@dataclass(frozen=True, kw_only=True)
class Loader:
    """One loader of the race.

    `write` stores the samples (n, width) below a folder that is not there yet. `batches` yields
    arrays (64, width) epoch after epoch, from sample `consumed_rows` of the first epoch on, a
    multiple of 64, with the loader's own means of resuming; closing the iterator releases
    everything. `distribution` is what is installed, empty for what needs nothing beside NumPy, and
    `prepare` imports it.
    """

    name: str
    distribution: str
    shuffle: str
    prepare: Callable[[], None]
    write: Callable[[Values, Path], None]
    batches: Callable[[Path, int], Iterator[Values]]

    @property
    def installed_version(self) -> str | None:
        """Version of the loader, empty where there is none to name; None if not installed."""
        try:
            return version(self.distribution) if self.distribution else ""
        except PackageNotFoundError:
            return None


def find_loader(name: str) -> Loader:
    """The loader of the module `name`, one of `NAMES`; nothing of the peer is imported."""
    assert name in NAMES, name
    return cast(Loader, import_module(f"benchmarks.peers.{name}").LOADER)


def in_batches(samples: Iterable[bytes]) -> Iterator[Values]:
    """Full batches of the samples of one epoch; the last rows are dropped, as peers usually do."""
    iterator = (sample for sample in samples)  # litdata begins anew at each `iter`
    while len(batch := list(islice(iterator, BATCH_ROWS))) == BATCH_ROWS:
        yield stacked(batch)
