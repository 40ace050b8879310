"""What a stream is given: data sets, opened, weighed and checked that they fit each other, a cache.

Stands between the arguments of `RowStream` and the data sets.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard

from pipeline.dataset import Dataset, open_dataset
from pipeline.given_numbers import is_real, whole_number
from pipeline.readers.remote import is_url
from pipeline.shard_cache.folder import CACHE_BYTES, CacheFolder
from schemas.config import differing_keys
from schemas.errors import DatasetError, UserError

Place = Path | str | Dataset
"""Folder or URL of a data set, or one that was opened before."""
Given = Mapping[Place, float] | Mapping[Path | str, float] | Place

_MAX_WEIGHT = 1e12


def open_mixture(
    datasets: Given, split: str, cache: CacheFolder | None = None
) -> list[tuple[Dataset, float]]:
    """The data sets (folder, URL or opened `Dataset` -> weight, or one of them) with their weights,
    in order of digest; those behind URLs are read through `cache`, opened ones as they were opened.

    Raises `UserError` for no data set or a weight that is not above 0, `DatasetError` for one
    without rows in `split`, for the same one twice, and for two whose rows cannot be mixed.
    """
    weights = _weights(datasets)
    weighed = [(place, _checked_weight(place, weight)) for place, weight in weights.items()]
    opened = [(_opened(place, cache), weight) for place, weight in weighed]
    opened.sort(key=lambda pair: pair[0].digest)
    for dataset, _ in opened:
        if not dataset.num_rows(split):
            raise DatasetError(f"{dataset.name}: no rows in split {split!r} to read")
    for (first, _), (second, _) in pairwise(opened):
        _check_mixable(first, second)
    return opened


def opened_cache(
    cache: CacheFolder | Path | str | None, cache_bytes: int | None
) -> CacheFolder | None:
    """The cache that is given, a folder of which at most `cache_bytes` may be taken
    (`CACHE_BYTES`), or a `CacheFolder`; `UserError` for anything else."""
    if cache_bytes is not None:
        cache_bytes = whole_number("cache_bytes", cache_bytes, 1)
    if isinstance(cache, str) and is_url(cache):
        raise UserError(f"cache={cache!r:.80}: a URL, expected a local folder")
    if isinstance(cache, Path | str):
        return CacheFolder(Path(cache), cache_bytes or CACHE_BYTES)
    if cache is not None and not isinstance(cache, CacheFolder):
        raise UserError(f"cache={cache!r:.80}: expected a folder or a CacheFolder")
    if cache_bytes is not None:
        why = "a CacheFolder, which has its own limit" if cache else "cache=None"
        raise UserError(
            f"cache_bytes={cache_bytes} beside {why}: it is what a folder may take that is given "
            "as cache=FOLDER; leave it out, or give one"
        )
    return cache


def _weights(datasets: Given) -> Mapping[Place, float]:
    if _is_place(datasets):
        return {datasets: 1.0}
    if isinstance(datasets, Mapping) and datasets and all(map(_is_place, datasets)):
        return dict(datasets.items())
    raise UserError(
        f"data sets {datasets!r:.500}: expected {{folder or URL: weight}}, or one of them"
    )


def _is_place(given: object) -> TypeGuard[Place]:
    if isinstance(given, Dataset):
        return True
    with suppress(UnicodeEncodeError):  # half a character, which no name of a file has
        return isinstance(given, str | Path) and b"\0" not in os.fsencode(given)
    return False


def _opened(place: Place, cache: CacheFolder | None) -> Dataset:
    return place if isinstance(place, Dataset) else open_dataset(place, cache)


def _checked_weight(place: Place, weight: float) -> float:
    if not is_real(weight) or not 0 < weight <= _MAX_WEIGHT:
        raise UserError(
            f"{place}: weight {weight!r}, expected a number above 0, at most {_MAX_WEIGHT:g}"
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
