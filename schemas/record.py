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
class ItemRecord:
    """What one work item wrote and counted.

    `counts` is flat: `documents`, `documents.dropped.<reason>`, `bad.<reason>`,
    `<split>.windows.dropped.<reason>`, `<split>.<objective>.<what>`, ... Counts of items add up to
    those of the data set.
    """

    item: str
    slice: int
    pass_number: int
    shards: tuple[ShardFile, ...]
    documents: FileHashes
    counts: Counts

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
        )
