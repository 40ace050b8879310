"""What the two loaders of Hugging Face's `datasets` share: how samples are stored and handed out.

One column of fixed-size lists, in 24 Arrow files, read in the `arrow` format: a batch is then a few
Arrow copies and one view. The `numpy` format is three times as slow (and widens to 64 bits), plain
Python twenty times.
"""

import os
from pathlib import Path
from typing import Any

from benchmarks.peers.samples import SHARDS, WIDTH, Values


def prepare() -> None:
    """The import, told that there is no network to ask."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets

    datasets.disable_progress_bars()


def write(rows: Values, folder: Path) -> None:
    """24 Arrow files."""
    import pyarrow as pa
    from datasets import Dataset

    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), WIDTH)
    Dataset(pa.table({"row": column})).save_to_disk(folder, num_shards=SHARDS)


def opened(folder: Path) -> Any:
    """The data set in the format `arrow`."""
    from datasets import load_from_disk

    return load_from_disk(str(folder)).with_format("arrow")


def values_of(table: Any) -> Values:
    """The rows of a batch (n, width)."""
    column = table["row"].combine_chunks()
    values: Values = column.flatten().to_numpy().reshape(len(column), WIDTH)
    return values
