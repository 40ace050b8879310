"""The data sets behind a step: where they are today.

Used by `trace.py`. A data set is known by its digest, wherever it was moved; one that has grown
since is still the one it was.
"""

from collections.abc import Sequence
from pathlib import Path

from jobs.stream_record import Stretch, read_stretches
from pipeline.dataset import Dataset, open_dataset
from pipeline.shard_cache.folder import CacheFolder
from pipeline.versions import Lineage
from schemas.errors import BlankstreamError, CorruptDataError, DatasetError, UserError
from schemas.manifest import TRAIN


def find_datasets(
    run: Path, stretch: Stretch, given: Sequence[Path | str], cache: CacheFolder | None = None
) -> list[Dataset]:
    """The data sets that the steps of `stretch` read: among `given`, else where the run has read
    them, or has read others, which may have grown from them.

    Raises `UserError` for a given one that the run never read, `DatasetError` for one that is not
    found, and what is wrong with one where the run has read it, as damage.
    """
    stretches = read_stretches(run)
    opened = [Lineage(open_dataset(place, cache), TRAIN) for place in given]
    for lineage in opened:
        _check_read(run, lineage, stretches)
    wanted = stretch.segments[-1]["datasets"]
    return [_find(run, digest, opened, stretches, cache) for digest in wanted]


def _check_read(run: Path, lineage: Lineage, stretches: Sequence[Stretch]) -> None:
    known = {digest: place for stretch in stretches for digest, place in stretch.places.items()}
    dataset = lineage.dataset
    # Itself first: of an earlier version it may not be known.
    if dataset.digest in known or any(lineage.was(digest) for digest in known):
        return
    names = ", ".join(f"{digest[:12]} ({place})" for digest, place in known.items())
    raise UserError(
        f"--data {dataset.name}: this is the data set {dataset.digest[:12]}, which {run} never "
        f"read; it read {names}"
    )


def _find(
    run: Path,
    digest: str,
    opened: Sequence[Lineage],
    stretches: Sequence[Stretch],
    cache: CacheFolder | None,
) -> Dataset:
    own, others = _places(digest, stretches)
    # The data set itself before one that has grown from it: False comes first.
    given = sorted(opened, key=lambda lineage: lineage.dataset.digest != digest)
    candidates: list[Lineage | str] = [*given, *dict.fromkeys(own + others)]
    reasons = []
    for one in candidates:
        try:
            lineage = Lineage(open_dataset(one, cache), TRAIN) if isinstance(one, str) else one
            if lineage.was(digest):
                return lineage.dataset
            found = lineage.dataset
            reasons.append(f"{found.name}: is the data set {found.digest[:12]}")
        except BlankstreamError as error:
            if one in own and not _is_absent(error):
                raise
            reasons.append(str(error))
    raise DatasetError(
        f"{run}: the data set {digest[:12]}, which the step read, is not where it was "
        f"({'; '.join(reasons)}); give its place with --data DATASET"
    )


def _places(digest: str, stretches: Sequence[Stretch]) -> tuple[list[str], list[str]]:
    """Where the run has read it, and where it has read any, the last place first."""
    latest = list(reversed(stretches))
    own = [stretch.places[digest] for stretch in latest if digest in stretch.places]
    return own, [place for stretch in latest for place in stretch.places.values()]


def _is_absent(error: BlankstreamError) -> bool:
    return isinstance(error, DatasetError) and not isinstance(error, CorruptDataError)
