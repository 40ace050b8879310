"""grain over ArrayRecord: records of their own (`group_size:1`), not compressed, shuffled by index.

`MapDataset` with one reading thread and a short buffer is the fastest: more threads only contend
for the interpreter, and its batched `__getitems__` starts a pool of threads for each batch. Bytes
are joined once per batch; decoding each record on its own and stacking is a quarter slower.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.loader import Loader
from benchmarks.peers.samples import BATCH_ROWS, SEED, Values, parts, stacked


def prepare() -> None:
    """The imports."""
    import grain  # noqa: F401
    from array_record.python import array_record_module  # noqa: F401


def write(rows: Values, folder: Path) -> None:
    """24 files."""
    from array_record.python.array_record_module import ArrayRecordWriter

    folder.mkdir()
    for number, part in enumerate(parts(rows)):
        path = folder / f"{number:02}.array_record"
        writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
        for row in part:
            writer.write(row.tobytes())
        writer.close()


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """Batches over epochs without an end; resumed by the iterator's own state."""
    import grain

    source = grain.sources.ArrayRecordDataSource(sorted(map(str, folder.iterdir())))
    shuffled = grain.MapDataset.source(source).shuffle(seed=SEED).repeat()
    dataset = shuffled.batch(BATCH_ROWS, batch_fn=stacked).to_iter_dataset(
        grain.ReadOptions(num_threads=1, prefetch_buffer_size=16)
    )
    iterator = iter(dataset)
    if consumed_rows:
        iterator.set_state(iterator.get_state() | {"next_index": consumed_rows // BATCH_ROWS})
    yield from iterator


LOADER = Loader(
    name="grain + ArrayRecord",
    distribution="grain",
    shuffle="all rows",
    prepare=prepare,
    write=write,
    batches=batches,
)
