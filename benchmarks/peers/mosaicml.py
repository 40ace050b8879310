"""mosaicml-streaming: MDS shards of one `bytes` column, no compression, no hashes checked.

`bytes` is a third faster than its `ndarray` encoding of the same samples: a batch is one join.
`StreamingDataset` is iterated itself: a `DataLoader` around it only adds work in one process. Of
its shuffles `py1e`, the default, is the fastest. `dataset[i]` in an order of one's own would be 2.5
times as fast, but has none of its shuffling, downloading or resuming.

It depends on torchvision and transformers for data sets and batches of theirs that nobody here
uses, so both are stood in for by empty modules: torchvision would replace the CPU build of torch.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.peers.loader import Loader, in_batches
from benchmarks.peers.samples import BATCH_ROWS, SEED, Values

_UNUSED = {
    "torchvision": "",
    "torchvision.datasets": "VisionDataset",
    "torchvision.transforms": "",
    "torchvision.transforms.functional": "to_tensor",
    "transformers": "",
    "transformers.feature_extraction_utils": "BatchFeature",
    "transformers.tokenization_utils_base": "BatchEncoding",
    "transformers.models": "",
    "transformers.models.auto": "",
    "transformers.models.auto.tokenization_auto": "AutoTokenizer",
}
"""Module -> the class that is imported from it."""


def prepare() -> None:
    """The import, behind stand-ins; shared memory left behind by a process that died is freed."""
    for name, content in _UNUSED.items():
        module: Any = ModuleType(name)
        module.__path__ = []
        if content:
            setattr(module, content, type(content, (), {}))
        sys.modules.setdefault(name, module)
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()


def write(rows: Values, folder: Path) -> None:
    """Shards of 17 MB, about as many as everybody else's."""
    from streaming import MDSWriter

    columns = {"row": "bytes"}
    with MDSWriter(out=str(folder), columns=columns, size_limit=1 << 24) as writer:
        for row in rows:
            writer.write({"row": row.tobytes()})


def batches(folder: Path, consumed_rows: int) -> Iterator[Values]:
    """Epoch after epoch of one `StreamingDataset`."""
    from streaming import StreamingDataset

    dataset = StreamingDataset(
        local=str(folder),
        shuffle=True,
        shuffle_seed=SEED,
        batch_size=BATCH_ROWS,
        num_canonical_nodes=1,
    )
    if consumed_rows:
        state = {"epoch": 0, "sample_in_epoch": consumed_rows, "num_canonical_nodes": 1}
        dataset.load_state_dict(state | {"shuffle_seed": SEED, "initial_physical_nodes": 1})
    try:
        while True:
            yield from in_batches(sample["row"] for sample in dataset)
    finally:
        dataset._iterator.exit()  # its threads would go on looking for work


LOADER = Loader(
    name="mosaicml-streaming",
    distribution="mosaicml-streaming",
    shuffle="shards, then samples in reach",
    prepare=prepare,
    write=write,
    batches=batches,
)
