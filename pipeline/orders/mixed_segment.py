"""One segment of a stream: from an index to a data set, and to a visit of it.

Stands below `visits.py`, which puts the segments of a stream in a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.mixture import interleaving
from pipeline.orders.courses import Course, Version, Window
from pipeline.orders.segments import Segment
from pipeline.row_numbers import Numbers
from schemas.errors import DatasetError


@dataclass(frozen=True)
class Choice:
    """One choice of a segment's mixture: the data set that the segment names by `digest`.

    Its visits are counted under `owner`, the digest of the version that is given, and
    `visits_before` of them lie before the segment. Where it is given, `source` is its number,
    `version` the one that the segment names and `course` all its visits; else these are None.
    """

    digest: str
    owner: str
    visits_before: int
    source: int | None = None
    version: Version | None = None
    course: Course | None = None


@dataclass(frozen=True)
class Upcoming:
    """What is needed next of data set `source`: `shards` in order, each (block of the shard table,
    shard in the block), from `window` on."""

    source: int
    window: Window
    shards: Iterator[tuple[int, int]]


class MixedSegment:
    """A segment and the choices of its mixture, in its order.

    Indices count the rows of the stream; those of `rows` ascend and are not before the segment.
    """

    def __init__(self, segment: Segment, choices: Sequence[Choice]) -> None:
        self._segment, self._choices = segment, choices
        numbers = [-1 if one.source is None else one.source for one in choices]
        self._sources = np.array(numbers, np.int64)
        self._mixture = interleaving(tuple(segment.shares))

    def check_given(self) -> None:
        """Raise `DatasetError` unless all of its data sets are given."""
        missing = [choice.digest[:12] for choice in self._choices if choice.source is None]
        if missing:
            raise DatasetError(
                f"the segment from row {self._segment.first_row} on mixes data set "
                f"{', '.join(missing)}, which is not given; give it too, with replay=True"
            )

    def visited(self, index: int) -> dict[str, int]:
        """How often each owner was visited before `index`."""
        counts = self._mixture.counts(index - self._segment.first_row)
        pairs = zip(self._choices, counts, strict=True)
        return {choice.owner: choice.visits_before + count for choice, count in pairs}

    def total(self, epochs: int) -> int:
        """Index of the first visit that begins epoch `epochs` of a data set; the first row where
        that has begun before."""
        left = [
            (number, course.visit_of(epochs) - self._choices[number].visits_before)
            for number, course in self._given()
        ]
        if any(visits < 0 for _, visits in left):
            return self._segment.first_row
        places = [self._mixture.index_of(number, visits) for number, visits in left]
        return self._segment.first_row + min(places)

    def rows(self, indices: Numbers) -> tuple[Numbers, Numbers]:
        """Number of the source and row number in it, for each of `indices` (n,)."""
        places = indices - self._segment.first_row if self._segment.first_row else indices
        if len(self._choices) == 1:
            sources = np.full(len(places), self._sources[0])
            return sources, self._rows_of(self._choices[0], places)
        chosen, visits = self._mixture.choices_at(places)
        rows = np.empty_like(places)
        for number, choice in enumerate(self._choices):
            here = np.flatnonzero(chosen == number)
            rows[here] = self._rows_of(choice, visits[here])
        return self._sources[chosen], rows

    def ahead(self, index: int) -> Iterator[Upcoming]:
        """What is needed from `index` on, for each data set whose epoch is windowed."""
        counts = self._mixture.counts(index - self._segment.first_row)
        for number, course in self._given():
            visit = self._choices[number].visits_before + counts[number]
            window = course.window(visit)
            if window is not None:
                yield Upcoming(int(self._sources[number]), window, course.shards_ahead(visit))

    def _rows_of(self, choice: Choice, visits: Numbers) -> Numbers:
        assert choice.course is not None, choice.digest
        return choice.course.rows(visits + choice.visits_before if choice.visits_before else visits)

    def _given(self) -> Iterator[tuple[int, Course]]:
        """Number in the mixture, and course, of each choice that is given."""
        for number, choice in enumerate(self._choices):
            if choice.course is not None:
                yield number, choice.course
