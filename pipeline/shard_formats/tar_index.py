"""`dataset.json`: what whoever reads the tars of a data set by other means must know.

Written beside the manifest of a data set whose shards are tars. A list of tensors has no names, so
it says which is which; our own readers do not need it.
"""

import hashlib
import json
import mmap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

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
        listed[shard.split].append(_described(shard))
    return _sealed(row_format, tokenizer, listed)


def write_dataset_json(
    path: Path,
    row_format: RowFormat,
    tokenizer: dict[str, Any],
    shards: Callable[[str], Iterable[ShardEntry]],
) -> None:
    """Write the bytes of `dataset_json` to `path`, holding one shard at a time.

    `shards` gives those of a split in their order; each split is asked for once.
    """
    text = _sealed(row_format, tokenizer, {split: [] for split in SPLITS})
    content = json.loads(text)
    seal_of_none = content.pop("digest")
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    whole = hashlib.sha256()
    with path.open("wb") as stream:
        for split in sorted(SPLITS):
            before, text = _cut(text, f'"{split}": []')
            canonical_before, canonical = _cut(canonical, f'"{split}":[]')
            stream.write(before.encode())
            whole.update(canonical_before.encode())
            _write_shards(shards(split), stream, whole)
        stream.write(text.encode())
        whole.update(canonical.encode())
    _replace(path, seal_of_none, whole.hexdigest())


def _described(shard: ShardEntry) -> dict[str, Any]:
    return {"path": shard.path, "rows": shard.rows}


def _sealed(
    row_format: RowFormat, tokenizer: dict[str, Any], listed: dict[str, list[dict[str, Any]]]
) -> str:
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


def _cut(text: str, empty: str) -> tuple[str, str]:
    """What precedes the end of the empty list `empty`, and the rest."""
    place = text.index(empty) + len(empty) - 1
    return text[:place], text[place:]


def _write_shards(shards: Iterable[ShardEntry], stream: IO[bytes], whole: "hashlib._Hash") -> None:
    """The elements of a list, as `seal` writes them and as its digest reads them."""
    is_empty = True
    for shard in shards:
        described = _described(shard)
        whole.update(("" if is_empty else ",").encode())
        whole.update(json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode())
        lines = json.dumps(described, indent=1, ensure_ascii=False).replace("\n", "\n   ")
        stream.write(f"{'' if is_empty else ','}\n   {lines}".encode())
        is_empty = False
    stream.write(b"" if is_empty else b"\n  ")


def _replace(path: Path, old: str, new: str) -> None:
    """Replace `old` by `new`, of the same length, in the first bytes that have it."""
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as content:
        place = content.find(old.encode())
        content[place : place + len(old)] = new.encode()
