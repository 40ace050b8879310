"""Which row layout gathers fastest: four columns, one row, or one row that also holds its layout.

Random rows from memory-mapped shards, 16 batches of 64 at once, grouped by shard, against the same
gather from one array in RAM. Prints one JSON line. Decides `schemas/samples.py`.
"""

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

TOKENS, SAMPLES, SHARD_ROWS, SHARDS, BLOCK, ROUNDS = 512, 8, 4096, 24, 1024, 40
LAYOUTS = {
    "four columns of tokens and three of layout": [TOKENS] * 4 + [SAMPLES] * 3,
    "one row, three columns of layout beside it": [4 * TOKENS] + [SAMPLES] * 3,
    "one row, one column of layout beside it": [4 * TOKENS, 3 * SAMPLES],
    "one row that holds its layout": [4 * TOKENS + 3 * SAMPLES],
}


def write_shards(folder: Path, widths: list[int]) -> list[list[np.ndarray]]:
    random = np.random.default_rng(0)
    shards = []
    for shard in range(SHARDS):
        columns: list[np.ndarray] = []
        for column, width in enumerate(widths):
            path = folder / f"{len(widths)}-{widths[0]}-{shard}-{column}"
            random.integers(0, 30000, (SHARD_ROWS, width), dtype=np.uint16).tofile(path)
            columns.append(np.memmap(path, np.uint16, "r", shape=(SHARD_ROWS, width)))
        shards.append(columns)
    return shards


def gather_grouped(shards: list[list[np.ndarray]], rows: np.ndarray) -> list[np.ndarray]:
    outputs = [np.empty((len(rows), column.shape[1]), np.uint16) for column in shards[0]]
    shard_of, local = np.divmod(rows, SHARD_ROWS)
    order = np.argsort(shard_of, kind="stable")
    edges = np.searchsorted(shard_of[order], np.arange(SHARDS + 1))
    for shard, (start, stop) in enumerate(itertools.pairwise(edges)):
        places = order[start:stop]
        for output, column in zip(outputs, shards[shard], strict=True):
            output[places] = column[local[places]]
    return outputs


def rows_per_second(gather: Callable[[np.ndarray], object], blocks: np.ndarray) -> float:
    start = time.perf_counter()
    for rows in blocks:
        gather(rows)
    return float(blocks.size / (time.perf_counter() - start))


def main() -> None:
    random = np.random.default_rng(1)
    blocks = random.integers(0, SHARDS * SHARD_ROWS, (ROUNDS, BLOCK))
    ram = random.integers(0, 30000, (SHARDS * SHARD_ROWS, 4 * TOKENS), dtype=np.uint16)
    speeds: dict[str, list[float]] = {name: [] for name in ["gather in RAM", *LAYOUTS]}
    with tempfile.TemporaryDirectory() as folder:
        shards = {name: write_shards(Path(folder), widths) for name, widths in LAYOUTS.items()}
        for _ in range(7):
            small = blocks.reshape(-1, 64)
            speeds["gather in RAM"].append(rows_per_second(lambda rows: ram[rows], small))
            for name, columns in shards.items():
                gather = partial(gather_grouped, columns)
                speeds[name].append(rows_per_second(gather, blocks))
    medians = {name: round(statistics.median(values)) for name, values in speeds.items()}
    ratios = {name: round(value / medians["gather in RAM"], 2) for name, value in medians.items()}
    print(json.dumps({"benchmark": "layouts", "rows_per_second": medians, "ratio": ratios}))


if __name__ == "__main__":
    main()
