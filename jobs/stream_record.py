"""Which rows every step of a run took, and from where: `RUN/stream.json`.

Written by `train.py` before the first step that takes rows otherwise than those before it; read by
`trace.py`, which needs neither checkpoints nor the configuration of that time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Self

from jobs.runs import read_of_run
from pipeline.dataset import Dataset
from pipeline.orders.segments import read_segment
from pipeline.readers.remote import is_url
from pipeline.stream import RowStream
from schemas.checked import Limits, parse
from schemas.errors import RunError
from schemas.sealed import seal
from schemas.storage import commit_text

STREAM_NAME = "stream.json"

_Positive = Annotated[int, Limits(1, 2**63 - 1)]


@dataclass(frozen=True)
class Stretch:
    """Steps behind `step`, of `batch_rows` rows each, from row `first_row` of the stream on.

    `segments` are those of the stream's state, `places` leads from the digest of each data set that
    was given to its folder or URL. `world_size` ranks shared each step.
    """

    step: int
    first_row: int
    batch_rows: _Positive
    segments: tuple[dict[str, Any], ...]
    places: dict[str, str]
    world_size: _Positive

    @classmethod
    def from_mapping(cls, content: dict[str, Any]) -> Self:
        """Inverse of `asdict` after a trip through JSON; without a world size it was one rank.

        Raises `ValueError` for what is none.
        """
        found = parse(cls, {"world_size": 1, **content})
        if not found.segments:
            raise ValueError("no segments")
        return found

    def rows_of(self, step: int, rank: int | None = None) -> tuple[int, int]:
        """The half-open range of the stream's rows that `step`, later than `self.step`, took, or
        `rank` alone of it, as in `RowStream`."""
        start = self.first_row + (step - self.step - 1) * self.batch_rows
        first, last = (0, self.world_size) if rank is None else (rank, rank + 1)
        low, high = (self.batch_rows * part // self.world_size for part in (first, last))
        return start + low, start + high

    def is_continued_by(self, other: Self) -> bool:
        """Whether `other` says nothing that does not follow from this."""
        return replace(self, step=other.step, first_row=other.first_row) == other


def stretch_behind(step: int, stream: RowStream, batch_rows: int, world_size: int = 1) -> Stretch:
    """The steps behind `step` that take the coming rows of `stream`."""
    state = stream.state()
    return Stretch(
        step=step,
        first_row=state["consumed_rows"],
        batch_rows=batch_rows,
        segments=tuple(state["segments"]),
        places=places_of(stream.datasets),
        world_size=world_size,
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

    Whole or not at all. Raises `CorruptDataError` when the record of earlier steps is damaged.
    """
    known = read_stretches(run) if stretch.step and (run / STREAM_NAME).exists() else []
    kept = [old for old in known if old.step < stretch.step]
    if not kept or not kept[-1].is_continued_by(stretch):
        kept.append(stretch)
    if kept != known:
        commit_text(run / STREAM_NAME, seal({"stretches": list(_packed(kept))}))


def read_stretches(run: Path) -> list[Stretch]:
    """What was recorded, in order of steps; raises as `read_of_run`."""
    remedy = "restore it from a copy, or delete it: steps taken so far can then not be traced"
    return read_of_run(run / STREAM_NAME, remedy, _parse)


def stretch_of(run: Path, step: int) -> Stretch:
    """The stretch that `step`, from 1 on, belongs to; `RunError` when none was recorded."""
    stretches = [one for one in read_stretches(run) if one.step < step]
    if not stretches:
        raise RunError(
            f"{run / STREAM_NAME}: says nothing of step {step}; the file was deleted, or the run "
            "begun by a release that did not write it: restore it from a copy, if there is one"
        )
    return stretches[-1]


def _packed(stretches: Iterable[Stretch]) -> Iterator[dict[str, Any]]:
    """As they are written: of the segments of each those alone that do not begin the one before,
    so that the record grows with the number of changes, not with its square."""
    before: tuple[dict[str, Any], ...] = ()
    for one in stretches:
        pairs = zip(before, one.segments, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        written = asdict(replace(one, segments=one.segments[shared:]))
        yield written | {"shared_segments": shared}
        before = one.segments


def _parse(content: dict[str, Any]) -> list[Stretch]:
    """Inverse of `_packed`; where nothing is said of shared segments, all are written."""
    found: list[Stretch] = []
    for one in content["stretches"]:
        for segment in one["segments"]:
            read_segment(segment)
        shared = one.get("shared_segments", 0)
        before = found[-1].segments[:shared] if shared else ()
        found.append(Stretch.from_mapping(one | {"segments": [*before, *one["segments"]]}))
    return found
