"""litdata: chunks of one `bytes` leaf, handed out as views of the mapped chunk and joined once.

Twice as fast as NumPy leaves, and as its `TokensLoader`, which copies each block. Decoding and
shuffling inside a chunk are left at their defaults, which are the fastest. `StreamingDataset` is
iterated itself: its `DataLoader` only adds work in one process.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.loader import Loader, in_batches
from benchmarks.peers.samples import SEED, Values


def prepare() -> None:
    """The import."""
    import litdata  # noqa: F401


def write(rows: Values, folder: Path) -> None:
    """Chunks of 17 MB, by the writer that `optimize` runs in its workers."""
    from litdata.streaming import Cache

    folder.mkdir()
    cache = Cache(str(folder), chunk_bytes=1 << 24)
    for number, row in enumerate(rows):
        cache[number] = row.tobytes()
    cache.done()
    cache.merge()


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """Epoch after epoch of one `StreamingDataset`."""
    from litdata import StreamingDataset

    dataset = StreamingDataset(str(folder), shuffle=True, seed=SEED)
    if consumed_rows:
        dataset.load_state_dict(dataset.state_dict(consumed_rows, 1, dataset.batch_size))
    while True:
        yield from in_batches(dataset)


LOADER = Loader(
    name="litdata",
    distribution="litdata",
    shuffle="chunks, then windows of 256",
    prepare=prepare,
    write=write,
    batches=batches,
)
