"""Shard formats: the rows of a small real build written and read back in each of them.

Builds a data set of English text with preset glm-base in one process, then writes all its rows with
each writer and reads them verified, several times, interleaved; medians. Prints one JSON line.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.corpus import write_jsonl
from jobs.build import BuildRequest, build_dataset
from jobs.options import find_preset
from jobs.progress.build_progress import BuildProgress
from pipeline.dataset import Dataset, open_dataset
from pipeline.shard_formats.shard_file import open_shard, open_shard_writer
from pipeline.shard_reading.shard_table import ShardTable
from schemas.config import load_config
from schemas.manifest import TRAIN
from schemas.samples import SHARD_FORMATS, RowArrays

MEGABYTES, ROUNDS, BATCH_ROWS = 12.0, 5, 1024


def rows_of(dataset: Dataset) -> list[RowArrays]:
    """The training rows of a data set, in record batches of `BATCH_ROWS`."""
    found = []
    table = ShardTable(dataset.place, dataset.manifest, TRAIN)
    for entry in table:
        path = dataset.place.path(entry.stored)
        shard = open_shard("arrow", path, entry.hashes, dataset.row_format, "")
        found += [shard.batch(number) for number in range(shard.num_batches)]
    return found


def measure(folder: Path, batches: list[RowArrays], dataset: Dataset) -> dict[str, object]:
    """Rows a second and bytes a row of every format."""
    rows = sum(len(batch.rows) for batch in batches)
    writing: dict[str, list[float]] = {name: [] for name in SHARD_FORMATS}
    reading: dict[str, list[float]] = {name: [] for name in SHARD_FORMATS}
    sizes: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name in SHARD_FORMATS:
            started = time.perf_counter()
            path = folder / name
            writer = open_shard_writer(name, path, dataset.row_format, BATCH_ROWS, "0-")
            for batch in batches:
                writer.append(batch)
            summary = writer.close()
            written = time.perf_counter()
            shard = open_shard(name, path, summary.hashes, dataset.row_format, "")
            for number in range(shard.num_batches):
                shard.batch(number)
            shard.close()
            writing[name].append(rows / (written - started))
            reading[name].append(rows / (time.perf_counter() - written))
            sizes[name] = round(summary.hashes.bytes / rows, 1)
    return {
        name: {
            "write_rows_per_second": round(statistics.median(writing[name])),
            "read_rows_per_second": round(statistics.median(reading[name])),
            "bytes_per_row": sizes[name],
        }
        for name in SHARD_FORMATS
    }


def main() -> None:
    config = load_config(
        find_preset("glm-base"),
        [f"build.record_batch_rows={BATCH_ROWS}", f"build.shard_rows={16 * BATCH_ROWS}"],
    ).build
    with tempfile.TemporaryDirectory() as name, BuildProgress() as progress:
        folder = Path(name)
        write_jsonl(folder / "text.jsonl", MEGABYTES)
        request = BuildRequest(config, [folder / "text.jsonl"], folder / "d", "serial", 1)
        build_dataset(request, progress)
        dataset = open_dataset(folder / "d")
        result = measure(folder, rows_of(dataset), dataset)
    print(json.dumps({"benchmark": "formats", "rows": dataset.num_rows(TRAIN), **result}))


if __name__ == "__main__":
    main()
