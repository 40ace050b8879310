"""The cells of the fault matrix: which fault strikes which file where and when, one after another.

Stands between the faults and `fault_matrix.py`, which runs cells in processes of their own.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset import open_dataset
from pipeline.shard_reading.shard_places import LocalPlace
from pipeline.shard_reading.shard_table import ShardTable
from schemas.manifest import TRAIN, StoredFile
from schemas.names import MANIFEST_NAME, PLAN_NAME
from schemas.samples import SHARD_FORMATS
from tests.datasets import TABLE as TABLE_NAME
from tests.datasets import Content, random_rows
from tests.fault_matrix_faults import (
    BIT,
    CUT,
    FAULTS,
    FIRST,
    FOOTER,
    HEADER,
    LATER,
    MANIFEST,
    SHARD,
)
from tests.format_datasets import write_dataset_as

LOCAL, COPY, SOURCE = "local folder", "copy in the cache", "source behind the cache"
PLACES = (LOCAL, COPY, SOURCE)
"""Where the fault strikes."""

BEFORE, UNREAD, PARTLY = "before opening", "not yet read", "partly read"
READ, FOUND, RESTART = "read", "found by another first", "after a restart"
MOMENTS = (BEFORE, UNREAD, PARTLY, READ, FOUND, RESTART)
"""When: of a run that has begun, `UNREAD` has opened the manifest and for a shard's fault read
another shard, `PARTLY` has read the first row of every shard, `READ` every row. `FOUND`: as `READ`,
and before the run goes on another process has found a copy damaged and set it aside, and has not
fetched another one. `RESTART`: as `READ`, the run goes on, meets the fault or not, ends, and
another one begins on what is there."""

CONTENT = Content(rows=36, shards=3, batch_rows=4)
ROWS = random_rows(CONTENT).rows
SHARD_ROWS = 12
VICTIM, PARTNER = 1, 2
"""The shard that is struck, and the one it is swapped with."""


@dataclass(frozen=True)
class Cell:
    """One fault, once; `position` is that of the bit, or where the file is cut."""

    place: str
    moment: str
    shard_format: str
    target: str
    fault: str
    position: int = 0


class World:
    """A data set in each format, and another one of the same geometry, below `folder`, where they
    are made unless they are there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[tuple[str, str], list[StoredFile]] = {}
        for name in SHARD_FORMATS if not folder.exists() else ():
            write_dataset_as(folder / name, name, **vars(CONTENT))
            (folder / name / PLAN_NAME).touch()
            write_dataset_as(folder / f"other-{name}", name, **{**vars(CONTENT), "seed": 1})

    def dataset(self, shard_format: str) -> Path:
        """The data set, undamaged."""
        return self._folder / shard_format

    def foreign(self, shard_format: str, name: str) -> bytes:
        """The file of this name in the other data set."""
        return (self._folder / f"other-{shard_format}" / name).read_bytes()

    def stored(self, shard_format: str, target: str) -> list[StoredFile]:
        """The shards in their order, or the table; the manifest's hashes are nowhere."""
        key = shard_format, target
        if key not in self._stored:
            folder = self.dataset(shard_format)
            manifest = open_dataset(folder).manifest
            shards = ShardTable(LocalPlace(folder), manifest, TRAIN)
            found = [one.stored for one in shards]
            self._stored[key] = found if target == SHARD else [manifest.table]
        return self._stored[key]

    def name(self, shard_format: str, target: str) -> str:
        """The file that is struck."""
        if target == MANIFEST:
            return MANIFEST_NAME
        return self.stored(shard_format, SHARD)[VICTIM].path if target == SHARD else TABLE_NAME


def all_cells(world: World, positions: int) -> list[Cell]:
    """Every cell, with so many bits of each region."""
    return [
        Cell(place, moment, shard_format, target, fault, position)
        for shard_format in SHARD_FORMATS
        for target in FAULTS
        for fault, position in _struck(world, shard_format, target, positions)
        for place, moment in itertools.product(PLACES, MOMENTS)
        if (place, target) != (COPY, MANIFEST) and (place == COPY or moment != FOUND)
    ]


def _struck(
    world: World, shard_format: str, target: str, positions: int
) -> Iterator[tuple[str, int]]:
    """Faults of a file, with a position: those in a region that is empty are none. It is cut at
    every edge of a region, in the middle, and before its last byte."""
    offsets = _offsets(world, shard_format, target)
    regions = list(itertools.pairwise(offsets))
    at = {HEADER: regions[:1], FIRST: regions[1:2], LATER: regions[2:-1], FOOTER: regions[-1:]}
    at[BIT] = regions
    for fault in FAULTS[target]:
        if fault == CUT:
            edges = {*offsets[1:-1], offsets[-1] // 2, offsets[-1] - 1} - {0}
            yield from ((CUT, edge) for edge in sorted(edges))
        elif fault.startswith(BIT):
            for start, stop in at[fault]:
                yield from ((fault, one) for one in _spread(start, stop, positions))
        else:
            yield fault, 0


def _offsets(world: World, shard_format: str, target: str) -> tuple[int, ...]:
    if target == MANIFEST:
        return 0, (world.dataset(shard_format) / MANIFEST_NAME).stat().st_size
    return world.stored(shard_format, target)[VICTIM if target == SHARD else 0].hashes.offsets


def _spread(start: int, stop: int, count: int) -> list[int]:
    """At most `count` positions in [start, stop), evenly apart; they flip different bits."""
    length = stop - start
    found = {start + length * (2 * number + 1) // (2 * count) for number in range(count)}
    return sorted(found) if length else []
