"""How well the orders of a stream shuffle: what is in a batch, against a perfect shuffle.

A data set of 2,400 shards of about 3,400 rows, batches of 64 from all over an epoch. Three figures,
each 1 or 0 for a perfect shuffle:

- `distance`: mean difference of the row numbers of two rows of a batch, over that of two random
  rows, (N + 1) / 3. Windows of K shards give 1 - 1/K: one pair in K is from the same shard.
- `shards`: different shards in a batch, over the number expected.
- `serial_correlation`: of the row numbers of neighbours in the order; 0 when perfect.

Prints one JSON line.
"""

import json
from collections.abc import Callable

import numpy as np

from pipeline.orders.order import Permutation
from pipeline.orders.window_order import EpochKey, TableRows, WindowOrder
from pipeline.row_numbers import Numbers
from schemas.manifest import TRAIN, TableBlock

Order = Callable[[Numbers], Numbers]

BLOCKS, BLOCK_SHARDS, SHARD_ROWS = 3, 800, 3400
BATCH_ROWS, BATCHES, SEED = 64, 4000, 1
WINDOWS = (4, 16, 64)


def distance(batches: Numbers, num_rows: int) -> float:
    """Mean difference of two rows of a batch (b, rows), over that of two rows of a perfect shuffle
    of `num_rows`."""
    rows = batches.shape[1]
    weights = 2 * np.arange(rows) - rows + 1  # how often each sorted row is added to a difference
    pairs = rows * (rows - 1) / 2
    means = (np.sort(batches, axis=1) @ weights) / pairs
    return float(means.mean() / ((num_rows + 1) / 3))


def shards_touched(batches: Numbers, first_rows: Numbers, num_rows: int) -> float:
    """Different shards in a batch (b, rows), over the number that a perfect shuffle would have.

    The shards begin at `first_rows`. A shard of n rows is in a perfect batch with probability
    1 - (1 - n / num_rows) ** rows, rows being few against them all.
    """
    shards = np.sort(np.searchsorted(first_rows, batches, side="right"), axis=1)
    found = 1 + np.count_nonzero(np.diff(shards, axis=1), axis=1)
    shares = np.diff(np.append(first_rows, num_rows)) / num_rows
    return float(found.mean() / (1 - (1 - shares) ** batches.shape[1]).sum())


def serial_correlation(batches: Numbers) -> float:
    """Correlation of each row's number with that of the next one in its batch (b, rows)."""
    before, behind = batches[:, :-1].ravel(), batches[:, 1:].ravel()
    return float(np.corrcoef(before, behind)[0, 1])


def shard_rows() -> Numbers:
    """Rows of each shard (blocks, shards): unequal, as those of a build."""
    random = np.random.default_rng(SEED)
    return random.integers(SHARD_ROWS // 2, 3 * SHARD_ROWS // 2, (BLOCKS, BLOCK_SHARDS))


def orders(rows: Numbers) -> dict[str, Order]:
    """Every order over shards of so many rows, by its name."""
    ends = np.cumsum(rows.sum(axis=1)).tolist()
    starts = [0, *ends[:-1]]
    blocks = [TableBlock(TRAIN, rows.shape[1], a, b - a) for a, b in zip(starts, ends, strict=True)]
    table, key = TableRows(blocks, lambda block: rows[block]), EpochKey(SEED, 0, "digest")
    windowed = {f"windowed/{shards}": WindowOrder(table, shards, key) for shards in WINDOWS}
    return {"global": Permutation(ends[-1], SEED, 0, "digest"), **windowed, "none": lambda at: at}


def measure(batches: int = BATCHES) -> dict[str, dict[str, float]]:
    """The three figures of every order, over so many batches evenly spread over an epoch."""
    rows = shard_rows()
    num_rows, first_rows = int(rows.sum()), np.cumsum(rows) - rows.ravel()
    starts = np.linspace(0, num_rows - BATCH_ROWS, batches).astype(np.int64)
    places = (starts[:, None] + np.arange(BATCH_ROWS)).ravel()
    found = {}
    for name, order in orders(rows).items():
        taken = order(places).reshape(batches, BATCH_ROWS)
        found[name] = {
            "distance": round(distance(taken, num_rows), 3),
            "shards": round(shards_touched(taken, first_rows, num_rows), 3),
            "serial_correlation": round(serial_correlation(taken), 3),
        }
    return found


def main() -> None:
    print(json.dumps({"benchmark": "shuffle_quality", "orders": measure()}))


if __name__ == "__main__":
    main()
