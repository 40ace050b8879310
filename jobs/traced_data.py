"""The data sets behind a step: where they are today.

Used by `trace.py`. A data set is known by its digest, wherever it was moved; one that has grown
since is still the one it was.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from jobs.stream_record import Stretch, read_stretches
from pipeline.dataset import Dataset, open_dataset
from pipeline.shard_cache.folder import CacheFolder
from pipeline.versions import Versions
from schemas.errors import DatasetError, UserError
from schemas.manifest import TRAIN


def find_datasets(
    run: Path, stretch: Stretch, given: Sequence[Path | str], cache: CacheFolder | None = None
) -> list[Path | str]:
    """Places of the data sets that the steps of `stretch` read: among `given`, else where the run
    has read them.

    Raises `UserError` for a given one that the run never read, `DatasetError` for one that is not
    found.
    """
    stretches = read_stretches(run)
    opened = [(place, open_dataset(place, cache)) for place in given]
    for _, dataset in opened:
        _check_read(run, dataset, stretches)
    return [
        _find(run, digest, opened, stretches, cache) for digest in stretch.segments[-1]["datasets"]
    ]


def _check_read(run: Path, dataset: Dataset, stretches: Sequence[Stretch]) -> None:
    known = {digest: place for stretch in stretches for digest, place in stretch.places.items()}
    if not any(_is_version(dataset, digest) for digest in known):
        names = ", ".join(f"{digest[:12]} ({place})" for digest, place in known.items())
        raise UserError(
            f"--data {dataset.name}: this is the data set {dataset.digest[:12]}, which {run} never "
            f"read; it read {names}"
        )


def _find(
    run: Path,
    digest: str,
    opened: Iterable[tuple[Path | str, Dataset]],
    stretches: Sequence[Stretch],
    cache: CacheFolder | None,
) -> Path | str:
    for given, dataset in opened:
        if _is_version(dataset, digest):
            return given
    reasons = {}
    for place in _places(digest, stretches):
        try:
            dataset = open_dataset(place, cache)
        except DatasetError as error:
            reasons[place] = str(error)
            continue
        if _is_version(dataset, digest):
            return place
        reasons[place] = f"{place}: is the data set {dataset.digest[:12]}"
    raise DatasetError(
        f"{run}: the data set {digest[:12]}, which the step read, is not where it was "
        f"({'; '.join(reasons.values())}); give its place with --data DATASET"
    )


def _places(digest: str, stretches: Sequence[Stretch]) -> list[str]:
    """Where the run has read it, the last place first; then where it has read others, which may
    have grown from it."""
    latest = list(reversed(stretches))
    own = [stretch.places[digest] for stretch in latest if digest in stretch.places]
    others = [place for stretch in latest for place in stretch.places.values()]
    return list(dict.fromkeys(own + others))


def _is_version(dataset: Dataset, digest: str) -> bool:
    if dataset.digest == digest:
        return True
    versions = Versions(dataset, TRAIN, dataset.reader(TRAIN).rows_of)
    return versions.find(digest) is not None
