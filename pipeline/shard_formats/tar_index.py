"""`dataset.json`: what whoever reads the tars of a data set by other means must know.

Written beside the manifest of a data set whose shards are tars. A list of tensors has no names, so
it says which is which; our own readers do not need it.
"""

from collections.abc import Iterable
from typing import Any

from pipeline.shard_formats.tar_layout import SIGNED_IGNORE, tar_arrays
from schemas.manifest import SPLITS, ShardEntry
from schemas.samples import RowFormat
from schemas.sealed import seal


def dataset_json(
    row_format: RowFormat, tokenizer: dict[str, Any], shards: Iterable[ShardEntry]
) -> str:
    """Sealed text: the arrays of a member in order, what their values mean, and the tars by split.

    `tokenizer` is that of the manifest. No time, host or path outside the data set: equal data sets
    give equal bytes.
    """
    listed: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for shard in shards:
        listed[shard.split].append({"path": shard.path, "rows": shard.rows})
    return seal(
        {
            "arrays": [
                {"name": array.name, "dtype": array.dtype, "shape": [array.length]}
                for array in tar_arrays(row_format)
            ],
            "ignore": row_format.ignore if row_format.dtype == "uint16" else SIGNED_IGNORE,
            "objectives": {name: code for code, name in enumerate(row_format.objectives, 1)},
            "tokenizer": tokenizer,
            "shards": listed,
        }
    )
