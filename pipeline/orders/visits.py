"""Visits: from an index in the endless stream to a data set and a row of it.

Joins what was mixed (segments), the mixture of each (which data set) and the courses (which of its
rows). A pure function of the segments: no world size, no batch size, nothing replayed.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from pipeline.orders.courses import Course, EpochRule, Version
from pipeline.orders.mixed_segment import Choice, MixedSegment, Upcoming
from pipeline.orders.order_names import window_shards_of
from pipeline.orders.segments import Segment
from pipeline.row_numbers import Numbers
from schemas.errors import DatasetError


class Source(Protocol):
    """A data set that is given; segments may name an earlier version of it."""

    @property
    def current(self) -> Version:
        """The version that is given."""

    def find(self, digest: str) -> Version | None:
        """The version of that digest; None when the data set never was that."""


class Visits:
    """Which row is visited when: segment by segment, each mixed by its weights from its first row
    on. The visits of a data set go on counting over segments; rows follow from them by its course.

    `sources` are the data sets that rows can be read of. Others that segments name only take their
    places in the mixture. No two may have been the same version. Raises `DatasetError` for two
    versions of a data set in one segment, and for a segment that goes back to an earlier version.
    """

    def __init__(self, segments: Sequence[Segment], sources: Sequence[Source]) -> None:
        self._sources, self._courses = sources, [Course() for _ in sources]
        self._parts: list[MixedSegment] = []
        self._first_rows = np.array([segment.first_row for segment in segments], np.int64)
        visited: dict[str, int] = {}
        for segment in segments:
            if self._parts:
                visited |= self._parts[-1].visited(segment.first_row)
            choices = [self._choice(digest, visited) for digest in segment.datasets]
            _check_different(segment, choices)
            for one in choices:
                if one.course is not None and one.version is not None:
                    _check_not_earlier(segment, one.course, one.version)
                    one.course.follow(one.visits_before, _rule(segment, one.version))
            self._parts.append(MixedSegment(segment, choices))

    def total(self, epochs: int) -> int:
        """Index of the first visit of the last segment that begins epoch `epochs` of a data set or
        a later one; the segment's own first row where an epoch so late has begun before."""
        return self._parts[-1].total(epochs)

    def check_given(self, index: int) -> None:
        """Raise `DatasetError` unless every data set that is visited from `index` on is given."""
        for part in self._parts[self._number(index) :]:
            part.check_given()

    def rows(self, indices: Numbers) -> tuple[Numbers, Numbers]:
        """Number of the data set and row number in it, for each of `indices` (n,), which ascend.

        Every data set of their segments must be given.
        """
        if len(self._parts) == 1:
            return self._parts[0].rows(indices)
        edges = np.searchsorted(indices, self._first_rows[1:])
        parts = zip(self._parts, np.split(indices, edges), strict=True)
        found = [part.rows(inside) for part, inside in parts if len(inside)]
        if len(found) < 2:
            return found[0] if found else (indices, indices)
        return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])

    def ahead(self, index: int) -> list[Upcoming]:
        """What is needed from `index` on, for each data set of its segment that is windowed."""
        return list(self._parts[self._number(index)].ahead(index))

    def _choice(self, digest: str, visited: Mapping[str, int]) -> Choice:
        """What a segment names by `digest`, `visited` so often before."""
        by_name = sorted(enumerate(self._sources), key=lambda one: one[1].current.digest != digest)
        for number, source in by_name:  # earlier versions are read only where none is named so
            version = source.find(digest)
            if version is not None:
                owner = source.current.digest
                before, course = visited.get(owner, 0), self._courses[number]
                return Choice(digest, owner, before, number, version, course)
        return Choice(digest, digest, visited.get(digest, 0))

    def _number(self, index: int) -> int:
        return int(np.searchsorted(self._first_rows, index, side="right")) - 1


def _check_different(segment: Segment, choices: Sequence[Choice]) -> None:
    if len({choice.owner for choice in choices}) < len(choices):
        raise DatasetError(
            f"the segment from row {segment.first_row} on mixes two versions of one data set: "
            f"{', '.join(segment.datasets)}; give what `state()` returned"
        )


def _check_not_earlier(segment: Segment, course: Course, version: Version) -> None:
    """Histories of that kind are no longer made: where they were, the version that had grown was
    not known, and its visits not counted."""
    latest = course.latest
    if latest is not None and latest.table.num_rows > version.table.num_rows:
        raise DatasetError(
            f"the segment from row {segment.first_row} on goes back to {version.digest[:12]}, an "
            f"earlier version of data set {latest.digest[:12]}; give that version instead, from "
            "which alone it can be told which rows were read there"
        )


def _rule(segment: Segment, version: Version) -> EpochRule:
    return EpochRule(version, segment.seed, window_shards_of(segment.order))
