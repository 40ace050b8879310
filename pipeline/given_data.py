"""The data sets that a stream is given: opened, weighed, and checked that they fit each other.

Stands between the arguments of `RowStream` and the data sets.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.dataset import Dataset, open_dataset
from pipeline.shard_cache.folder import CacheFolder
from schemas.config import differing_keys
from schemas.errors import DatasetError, UserError

Given = Mapping[Path | str, float] | Path | str

_MAX_WEIGHT = 1e12


def open_mixture(
    datasets: Given, split: str, cache: CacheFolder | None = None
) -> list[tuple[Dataset, float]]:
    """The data sets (folder or URL -> weight, or one of them) with their weights, in order of
    digest; those behind URLs are read through `cache`.

    Raises `UserError` for no data set or a weight that is not above 0, `DatasetError` for one
    without rows in `split`, for the same one twice, and for two whose rows cannot be mixed.
    """
    weights = datasets if isinstance(datasets, Mapping) else {datasets: 1.0}
    odd = [path for path in weights if not isinstance(path, str | Path) or "\0" in str(path)]
    if odd or not weights:
        raise UserError(
            f"data sets {datasets!r}: expected {{folder or URL: weight}}, or one of them"
        )
    opened = [(open_dataset(path, cache), _checked_weight(path, weights[path])) for path in weights]
    opened.sort(key=lambda pair: pair[0].digest)
    for dataset, _ in opened:
        if not dataset.num_rows(split):
            raise DatasetError(f"{dataset.name}: no rows in split {split!r} to read")
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
    pair = f"{first.name} and {second.name}"
    if first.digest == second.digest:
        raise DatasetError(f"{pair}: the same data set twice; give it once, with one weight")
    differences = differing_keys(first.row_format.to_mapping(), second.row_format.to_mapping())
    differences += differing_keys(first.manifest.tokenizer, second.manifest.tokenizer, "tokenizer")
    if differences:
        raise DatasetError(
            f"{pair} cannot be mixed, their rows differ in {'; '.join(differences)}; build both "
            "with the same tokenizer, row sizes and objectives"
        )
