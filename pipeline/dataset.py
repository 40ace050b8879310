"""A finished data set on disk: its manifest, checked at the door, and readers of its splits.

Stands between the build, which writes `manifest.json` last, and the stream.
"""

import hashlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.mapped_shards import checked_path
from pipeline.reader import RowReader
from pipeline.table import REBUILD_REMEDY, ShardTable
from schemas.config import differing_keys
from schemas.errors import DatasetError, UserError
from schemas.manifest import SPLITS, Manifest
from schemas.names import MANIFEST_NAME
from schemas.samples import RowFormat
from schemas.sealed import read_regular

_MAX_WEIGHT = 1e12
MAPPED_FORMAT = "arrow"
"""The shard format whose rows lie in the file as they are."""
MAX_OPEN_FILES = 256
"""Shards mapped at once by one reader; each takes one file descriptor."""


class Dataset:
    """What the manifest of one data set says. `digest`, its identity, is the hex SHA-256 of the
    manifest's bytes, and through the hashes in it of everything that is ever read."""

    def __init__(self, path: Path, manifest: Manifest, digest: str) -> None:
        self.path, self.manifest, self.digest = path, manifest, digest

    @property
    def row_format(self) -> RowFormat:
        """Geometry of every row of the data set."""
        return self.manifest.row_format

    @property
    def tokenizer_hash(self) -> str:
        """Hash of the tokenizer's model; data sets are mixed only where it is equal."""
        return str(self.manifest.tokenizer.get("model_sha256", ""))

    def num_rows(self, split: str) -> int:
        """Rows of `split`; `UserError` for a split that does not exist."""
        return self.manifest.rows[_checked(split)]

    def reader(self, split: str, max_open_files: int = MAX_OPEN_FILES) -> RowReader:
        """A new reader of `split`, with its own memory of what was verified.

        `DatasetError` for shards that cannot be mapped.
        """
        if self.manifest.shard_format != MAPPED_FORMAT:
            raise DatasetError(
                f"{self.path}: its shards are '{self.manifest.shard_format}', only "
                f"'{MAPPED_FORMAT}' is streamed; build with build.shard_format={MAPPED_FORMAT}, "
                "or read the tars with webdataset"
            )
        table = ShardTable(
            checked_path(self.path, self.manifest.table.path), self.manifest, _checked(split)
        )
        blocks = [block for block in self.manifest.table_blocks if block.split == split]
        return RowReader(self.path, self.row_format, table, blocks, max_open_files)


def open_dataset(path: Path | str) -> Dataset:
    """The data set in the folder `path`; shards and their table are opened when they are read.

    Raises `DatasetError` when the folder is missing, its build unfinished, or its manifest not one
    that agrees with itself.
    """
    path = Path(path)
    place = path / MANIFEST_NAME
    try:
        content = read_regular(place)
    except OSError as error:
        raise DatasetError(_why_unreadable(path, place, error)) from error
    manifest = Manifest.from_json(content.decode("utf-8", "replace"), str(place))
    _check_blocks(manifest, place)
    return Dataset(path, manifest, hashlib.sha256(content).hexdigest())


def _why_unreadable(path: Path, place: Path, error: OSError) -> str:
    if not path.exists():
        return f"{path}: no such folder; expected a data set made by `blankstream build`"
    if not path.is_dir():
        return f"{path}: a file, expected the folder of a data set"
    if not place.exists():
        return (
            f"{path}: no {MANIFEST_NAME}: the build has not finished; run the same `blankstream "
            "build` again to complete it"
        )
    return f"{place}: cannot be read ({error.strerror})"


def _check_blocks(manifest: Manifest, place: Path) -> None:
    """The table's blocks must cover the rows of every split, in order and without a gap."""
    found = dict.fromkeys(SPLITS, 0)
    for block in manifest.table_blocks:
        in_order = found.get(block.split) == block.first_row
        found[block.split] = block.first_row + block.rows if in_order else -1
    if found != manifest.rows or len(manifest.table.hashes.xxh3) != len(manifest.table_blocks) + 2:
        raise DatasetError(
            f"{place}: rows per split {manifest.rows} do not agree with the blocks of the shard "
            f"table, which cover {found}; {REBUILD_REMEDY}"
        )


def open_mixture(
    datasets: Mapping[Path | str, float] | Path | str, split: str
) -> list[tuple[Dataset, float]]:
    """The data sets (folder -> weight, or one folder) with their weights, in order of digest.

    Raises `UserError` for no data set or a weight that is not above 0, `DatasetError` for one
    without rows in `split`, for the same one twice, and for two whose rows cannot be mixed.
    """
    weights = datasets if isinstance(datasets, Mapping) else {datasets: 1.0}
    odd = [path for path in weights if not isinstance(path, str | Path) or "\0" in str(path)]
    if odd or not weights:
        raise UserError(f"data sets {datasets!r}: expected {{folder: weight}}, or one folder")
    opened = [(open_dataset(path), _checked_weight(path, weights[path])) for path in weights]
    opened.sort(key=lambda pair: pair[0].digest)
    for dataset, _ in opened:
        if not dataset.num_rows(split):
            raise DatasetError(f"{dataset.path}: no rows in split {split!r} to read")
    for (first, _), (second, _) in pairwise(opened):
        _check_mixable(first, second)
    return opened


def _checked_weight(path: Path | str, weight: float) -> float:
    number = isinstance(weight, float | int | np.number) and not isinstance(weight, bool)
    if not number or not 0 < weight <= _MAX_WEIGHT:
        raise UserError(
            f"{path}: weight {weight!r}, expected a number above 0, at most {_MAX_WEIGHT:g}"
        )
    return float(weight)


def _check_mixable(first: Dataset, second: Dataset) -> None:
    pair = f"{first.path} and {second.path}"
    if first.digest == second.digest:
        raise DatasetError(f"{pair}: the same data set twice; give it once, with one weight")
    differences = differing_keys(first.row_format.to_mapping(), second.row_format.to_mapping())
    differences += differing_keys(first.manifest.tokenizer, second.manifest.tokenizer, "tokenizer")
    if differences:
        raise DatasetError(
            f"{pair} cannot be mixed, their rows differ in {'; '.join(differences)}; build both "
            "with the same tokenizer, row sizes and objectives"
        )


def _checked(split: str) -> str:
    if split not in SPLITS:
        raise UserError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    return split
