"""Record: the commit point of one work item, and the sums that become the manifest's counts.

Written last by `pipeline/build.py`; an item without a record has not been built.
"""

from dataclasses import dataclass
from typing import Self

from schemas.checked import Hash64, PassNumber, parse
from schemas.json_text import fields_of
from schemas.manifest import FileHashes, StoredFile, check_split
from schemas.sealed import seal, unseal

Counts = dict[str, int]


@dataclass(frozen=True)
class ShardFile:
    """One shard of an item; `path` is relative to the data set.

    `rows_xxh3` is over the row digests (`arrow_shards.row_digest`, little-endian) of its rows:
    equal for the same rows in every shard format.
    """

    path: str
    split: str
    rows: int
    rows_xxh3: Hash64
    hashes: FileHashes

    def check(self) -> None:
        """Raise `ValueError` for a split that does not exist."""
        check_split(self.split)

    @property
    def stored(self) -> StoredFile:
        """Its file."""
        return StoredFile(self.path, self.hashes)


@dataclass(frozen=True)
class Exclusion:
    """A document that no worker could take: `reason` is `killed_worker` or `raised_error`.

    `source` and the half-open range `start`, `stop` say where it is, as in a `Document`.
    """

    id: str
    source: str
    start: int
    stop: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Histograms:
    """`windows` windows: their spans by length, themselves by spans and by coverage.

    Lengths and numbers of spans are in `laws.LENGTH_BINS`, coverage (hidden tokens over all) in
    twenty parts. Empty bins at the end may be left out.
    """

    windows: int
    span_lengths: tuple[int, ...]
    spans_per_window: tuple[int, ...]
    coverage: tuple[int, ...]


@dataclass(frozen=True)
class TallySums:
    """What `windows` windows gave for one law, by bin, in units of 2**-32 of an observation."""

    windows: int
    observed: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(frozen=True)
class ObjectiveStatistics:
    """One objective in one split: its windows, those too short for a law, and the law's tallies."""

    lawful: Histograms
    short: Histograms
    tallies: dict[str, TallySums]


Statistics = dict[str, dict[str, ObjectiveStatistics]]
"""Split -> objective -> what was found."""


@dataclass(frozen=True)
class ItemRecord:
    """What one work item wrote and counted.

    `counts` is flat: `documents`, `documents.dropped.<reason>`, `bad.<reason>`,
    `<split>.windows.dropped.<reason>`, `<split>.<objective>.<what>`, ... Counts and statistics of
    items add up to those of the data set; they are integers, so that the order is no matter.
    `quarantine` is None where there was nothing bad; `excluded` is what was left out because it
    killed workers, so that the item can be built again to the same bytes.
    """

    item: str
    slice: int
    pass_number: PassNumber
    shards: tuple[ShardFile, ...]
    documents: StoredFile
    quarantine: StoredFile | None
    excluded: tuple[Exclusion, ...]
    counts: Counts
    statistics: Statistics

    def to_json(self) -> str:
        """Sealed text: the same item gives the same bytes."""
        return seal(fields_of(self))

    @classmethod
    def from_json(cls, text: str, place: str) -> Self:
        """Inverse of `to_json`; `DatasetError` naming `place` for anything else."""
        remedy = "run `blankstream repair` on the data set"
        return unseal(text, place, remedy, lambda content: parse(cls, content))


@dataclass(frozen=True)
class ItemResult:
    """What a worker reports to the driver of an item it built: a few hundred bytes.

    The record has the rest. `source_bytes` are those of the input as stored, `text_bytes` those of
    the text read (UTF-8); `bad` counts input that could not be used; `seconds` are by stage:
    `check`, `read`, `sentences`, `tokens`, `samples`, `rows`, `commit`.
    """

    name: str
    rows: int
    documents: int
    source_bytes: int
    text_bytes: int
    bad: int
    seconds: dict[str, float]
