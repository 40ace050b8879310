"""One segment of a stream: from an index to a data set, and to a visit of it.

Stands below `visits.py`, which puts the segments of a stream in a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.courses import Course, Window
from pipeline.mixture import Interleaving
from pipeline.segments import Segment
from schemas.errors import DatasetError

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Upcoming:
    """What is needed next of data set `source`: `shards` in order, each (block of the shard table,
    shard in the block), from `window` on."""

    source: int
    window: Window
    shards: Iterator[tuple[int, int]]


class MixedSegment:
    """A segment, the owner of each choice of its mixture (number of a source, or the digest of what
    is not given), and how often each was visited before; `courses` are those of all sources.

    Indices count the rows of the stream; those of `rows` ascend and are not before the segment.
    """

    def __init__(
        self,
        segment: Segment,
        owners: Sequence[int | str],
        before: Sequence[int],
        courses: Sequence[Course],
    ) -> None:
        self._segment, self._owners, self._before = segment, owners, before
        self._courses = [courses[one] if isinstance(one, int) else None for one in owners]
        self._numbers = np.array([one if isinstance(one, int) else -1 for one in owners], np.int64)
        self._mixture = Interleaving(list(segment.datasets.values()))

    def check_given(self) -> None:
        """Raise `DatasetError` unless all of its data sets are given."""
        missing = [owner[:12] for owner in self._owners if isinstance(owner, str)]
        if missing:
            raise DatasetError(
                f"the segment from row {self._segment.first_row} on mixes data set "
                f"{', '.join(missing)}, which is not given; give it too, with replay=True"
            )

    def visited(self, index: int) -> dict[int | str, int]:
        """How often each owner was visited before `index`."""
        counts = self._mixture.counts(index - self._segment.first_row)
        return {
            owner: before + count
            for owner, before, count in zip(self._owners, self._before, counts, strict=True)
        }

    def total(self, epochs: int) -> int:
        """Index of the first visit that begins epoch `epochs` of a data set; the first row where
        that has begun before."""
        left = [
            (choice, course.visit_of(epochs) - before) for choice, course, before in self._given()
        ]
        if any(visits < 0 for _, visits in left):
            return self._segment.first_row
        places = [self._mixture.index_of(choice, visits) for choice, visits in left]
        return self._segment.first_row + min(places)

    def rows(self, indices: Numbers) -> tuple[Numbers, Numbers]:
        """Number of the source and row number in it, for each of `indices` (n,)."""
        places = indices - self._segment.first_row if self._segment.first_row else indices
        if len(self._owners) == 1:
            numbers = np.full(len(places), self._numbers[0])
            return numbers, self._rows_of(0, places)
        choices, rows = self._mixture.choices_at(places), np.empty_like(places)
        for choice in range(len(self._owners)):
            here = np.flatnonzero(choices == choice)
            rows[here] = self._rows_of(choice, self._mixture.occurrences(choice, places[here]))
        return self._numbers[choices], rows

    def ahead(self, index: int) -> Iterator[Upcoming]:
        """What is needed from `index` on, for each data set whose epoch is windowed."""
        place = np.array([index - self._segment.first_row])
        for choice, course, before in self._given():
            visit = before + int(self._mixture.occurrences(choice, place)[0])
            window = course.window(visit)
            if window is not None:
                yield Upcoming(int(self._numbers[choice]), window, course.shards_ahead(visit))

    def _rows_of(self, choice: int, visits: Numbers) -> Numbers:
        course, before = self._courses[choice], self._before[choice]
        assert course is not None, self._owners[choice]
        return course.rows(visits + before if before else visits)

    def _given(self) -> Iterator[tuple[int, Course, int]]:
        for choice, course in enumerate(self._courses):
            if course is not None:
                yield choice, course, self._before[choice]
