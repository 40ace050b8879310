"""Record: the commit point of one work item, and the sums that become the manifest's counts.

Written last by `pipeline/build.py`; an item without a record has not been built.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from schemas.manifest import FileHashes
from schemas.sealed import seal, unseal

Counts = dict[str, int]


def record_path(dataset: Path, item_name: str) -> Path:
    """Where the record of an item is (`plan.item_name`)."""
    return dataset / "records" / f"{item_name}.json"


def documents_path(dataset: Path, item_name: str) -> Path:
    """Where the documents of an item are."""
    return dataset / "records" / f"{item_name}.documents.arrow"


@dataclass(frozen=True)
class ShardFile:
    """One shard of an item; `path` is relative to the data set."""

    path: str
    split: str
    rows: int
    hashes: FileHashes


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

    @classmethod
    def from_mapping(cls, content: dict[str, Any]) -> Self:
        """Inverse of `dataclasses.asdict` after a trip through JSON."""
        lawful, short = (Histograms(**_tuples(content[name])) for name in ("lawful", "short"))
        tallies = {name: TallySums(**_tuples(sums)) for name, sums in content["tallies"].items()}
        return cls(lawful, short, tallies)


Statistics = dict[str, dict[str, ObjectiveStatistics]]
"""Split -> objective -> what was found."""


@dataclass(frozen=True)
class ItemRecord:
    """What one work item wrote and counted.

    `counts` is flat: `documents`, `documents.dropped.<reason>`, `bad.<reason>`,
    `<split>.windows.dropped.<reason>`, `<split>.<objective>.<what>`, ... Counts and statistics of
    items add up to those of the data set; they are integers, so that the order is no matter.
    """

    item: str
    slice: int
    pass_number: int
    shards: tuple[ShardFile, ...]
    documents: FileHashes
    counts: Counts
    statistics: Statistics

    def to_json(self) -> str:
        """Sealed text: the same item gives the same bytes."""
        return seal(asdict(self))

    @classmethod
    def from_json(cls, text: str, place: str) -> Self:
        """Inverse of `to_json`; `DatasetError` naming `place` for anything else."""
        remedy = "delete it and run the same `blankstream build` again"
        return unseal(text, place, remedy, cls._from_mapping)

    @classmethod
    def _from_mapping(cls, content: dict[str, Any]) -> Self:
        return cls(
            item=content["item"],
            slice=content["slice"],
            pass_number=content["pass_number"],
            shards=tuple(
                ShardFile(
                    shard["path"],
                    shard["split"],
                    shard["rows"],
                    FileHashes.from_mapping(shard["hashes"]),
                )
                for shard in content["shards"]
            ),
            documents=FileHashes.from_mapping(content["documents"]),
            counts=content["counts"],
            statistics={
                split: {
                    name: ObjectiveStatistics.from_mapping(found)
                    for name, found in objectives.items()
                }
                for split, objectives in content["statistics"].items()
            },
        )


def _tuples(content: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
