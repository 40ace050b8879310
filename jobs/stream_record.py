"""Which rows every step of a run took, and from where: `RUN/stream.json`.

Written by `train.py` before the first step that takes rows otherwise than those before it; read by
`trace.py`, which needs neither checkpoints nor the configuration of that time.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.dataset import Dataset
from pipeline.readers.remote import is_url
from schemas.errors import DatasetError, RunError
from schemas.sealed import read_sealed, seal, unseal
from schemas.storage import commit_text

STREAM_NAME = "stream.json"


@dataclass(frozen=True)
class Stretch:
    """Steps behind `step`, of `batch_rows` rows each, from row `first_row` of the stream on.

    `segments` are those of the stream's state, `places` leads from the digest of each data set that
    was given to its folder or URL.
    """

    step: int
    first_row: int
    batch_rows: int
    segments: list[dict[str, Any]]
    places: dict[str, str]

    @classmethod
    def from_mapping(cls, content: dict[str, Any]) -> Self:
        """Inverse of `asdict` after a trip through JSON."""
        return cls(**{name: content[name] for name in cls.__dataclass_fields__})

    def rows_of(self, step: int) -> tuple[int, int]:
        """The half-open range of the stream's rows that `step`, later than `self.step`, took."""
        start = self.first_row + (step - self.step - 1) * self.batch_rows
        return start, start + self.batch_rows

    def is_continued_by(self, other: Self) -> bool:
        """Whether `other` says nothing that does not follow from this."""
        return (self.batch_rows, self.segments, self.places) == (
            other.batch_rows,
            other.segments,
            other.places,
        )


def places_of(datasets: Iterable[Dataset]) -> dict[str, str]:
    """Digest -> where the data set is, from wherever it is asked for."""
    found = {dataset.digest: dataset.name for dataset in datasets}
    return {
        digest: place if is_url(place) else str(Path(place).resolve())
        for digest, place in found.items()
    }


def record_stretch(run: Path, stretch: Stretch) -> None:
    """Record that the steps behind `stretch.step` are taken as it says, whatever was before.

    Whole or not at all. Raises `RunError` when the record of earlier steps cannot be read.
    """
    known = read_stretches(run) if stretch.step and (run / STREAM_NAME).exists() else []
    kept = [old for old in known if old.step < stretch.step]
    if not kept or not kept[-1].is_continued_by(stretch):
        kept.append(stretch)
    if kept != known:
        content = {"stretches": [asdict(one) for one in kept]}
        commit_text(run / STREAM_NAME, seal(content))


def read_stretches(run: Path) -> list[Stretch]:
    """What was recorded, in order of steps; `RunError` when it is missing or damaged."""
    place = run / STREAM_NAME
    remedy = "restore it from a copy, or delete it: steps taken so far can then not be traced"
    try:
        return unseal(read_sealed(place), str(place), remedy, _parse)
    except DatasetError as error:
        raise RunError(str(error)) from error


def stretch_of(run: Path, step: int) -> Stretch:
    """The stretch that `step`, from 1 on, belongs to; `RunError` when none was recorded."""
    stretches = [one for one in read_stretches(run) if one.step < step]
    if not stretches:
        raise RunError(
            f"{run / STREAM_NAME}: says nothing of step {step}; the file was deleted, or the run "
            "begun by a release that did not write it"
        )
    return stretches[-1]


def _parse(content: dict[str, Any]) -> list[Stretch]:
    return [Stretch.from_mapping(one) for one in content["stretches"]]
