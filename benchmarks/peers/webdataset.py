"""webdataset: tars of one binary member a sample, not decoded, joined once per batch.

An `.npy` or `.ten` member per column is ten times as slow. Shards are shuffled, then samples in a
buffer of 1,000, as its documentation suggests; a larger buffer costs no speed, only memory and the
time to fill it. It cannot resume: what was consumed is read again and thrown away.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.peers.loader import Loader, in_batches
from benchmarks.peers.samples import BATCH_ROWS, SEED, Values, parts

BUFFER = 1000


def prepare() -> None:
    """The import, which brings torch with it."""
    import webdataset  # noqa: F401


def write(rows: Values, folder: Path) -> None:
    """24 tars."""
    from webdataset import TarWriter

    folder.mkdir()
    for number, part in enumerate(parts(rows)):
        with TarWriter(str(folder / f"{number:02}.tar")) as writer:
            for place, row in enumerate(part):
                writer.write({"__key__": f"{number:02}{place:06}", "bin": row.tobytes()})


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """Epoch after epoch, the first one replayed up to `consumed_rows`."""
    from webdataset import WebDataset

    tars, epoch = sorted(map(str, folder.iterdir())), 0
    while True:
        dataset = WebDataset(tars, shardshuffle=len(tars), seed=SEED + epoch, empty_check=False)
        samples = (sample["bin"] for sample in dataset.shuffle(BUFFER, seed=SEED + epoch))
        yield from islice(in_batches(samples), consumed_rows // BATCH_ROWS, None)
        epoch, consumed_rows = epoch + 1, 0


LOADER = Loader(
    name="webdataset",
    distribution="webdataset",
    shuffle=f"shards, then a buffer of {BUFFER:,}",
    prepare=prepare,
    write=write,
    batches=batches,
)
