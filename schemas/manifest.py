"""Manifest and shard table: the index of a finished data set, written last.

Stands between the build, which writes it, and the stream, which reads nothing without it. It holds
no time, host or path outside the data set, so that equal plans give equal manifests.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import pyarrow as pa

from schemas.samples import RowFormat
from schemas.sealed import seal, unseal

TRAIN, HELDOUT = "train", "heldout"
SPLITS = (TRAIN, HELDOUT)


@dataclass(frozen=True)
class FileHashes:
    """Size and hashes of one file, region by region.

    Region 0 is everything before the first record batch, the last one everything behind the last
    batch, and those between are the record batches; of a tar, the members of one batch are a
    region. `offsets` has one entry more than `xxh3` (64 bits each); the regions cover the file
    without a gap. `sha256` is of the whole file.
    """

    bytes: int
    sha256: str
    offsets: tuple[int, ...]
    xxh3: tuple[int, ...]

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any]) -> Self:
        """Inverse of `dataclasses.asdict` after a trip through JSON.

        Raises `ValueError` unless the offsets lead from 0 to the end of the file.
        """
        offsets = mapping["offsets"]
        ordered = sorted(offsets) == offsets and [offsets[0], offsets[-1]] == [0, mapping["bytes"]]
        if not ordered or len(offsets) != len(mapping["xxh3"]) + 1:
            raise ValueError(f"offsets {offsets} do not cover {mapping['bytes']} bytes")
        return cls(
            int(mapping["bytes"]),
            str(mapping["sha256"]),
            tuple(mapping["offsets"]),
            tuple(mapping["xxh3"]),
        )


@dataclass(frozen=True)
class StoredFile:
    """A file of the data set: `path` is relative to it and holds a hash of the content."""

    path: str
    hashes: FileHashes

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any]) -> Self:
        """Inverse of `dataclasses.asdict` after a trip through JSON."""
        return cls(str(mapping["path"]), FileHashes.from_mapping(mapping["hashes"]))

    @classmethod
    def from_optional(cls, mapping: dict[str, Any] | None) -> Self | None:
        """As `from_mapping`; None stays None."""
        return None if mapping is None else cls.from_mapping(mapping)


@dataclass(frozen=True)
class ShardEntry:
    """One shard: a file of rows. `path` is relative to the data set, with forward slashes; `item`
    is the id of the work item that it belongs to."""

    path: str
    split: str
    item: str
    generation: int
    pass_number: int
    slice: int
    rows: int
    first_row: int
    rows_xxh3: int
    hashes: FileHashes


TABLE_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("item", pa.binary(32), nullable=False),
        pa.field("generation", pa.uint32(), nullable=False),
        pa.field("pass", pa.uint32(), nullable=False),
        pa.field("slice", pa.uint32(), nullable=False),
        pa.field("rows", pa.uint64(), nullable=False),
        pa.field("first_row", pa.uint64(), nullable=False),
        pa.field("rows_xxh3", pa.uint64(), nullable=False),
        pa.field("bytes", pa.uint64(), nullable=False),
        pa.field("sha256", pa.binary(32), nullable=False),
        pa.field("offsets", pa.list_(pa.uint64()), nullable=False),
        pa.field("xxh3", pa.list_(pa.uint64()), nullable=False),
    ]
)
"""Columns of shards.arrow; `first_row` counts the rows of the same split before the shard."""


@dataclass(frozen=True)
class TableBlock:
    """One record batch of shards.arrow: `shards` entries of one split, `rows` rows from
    `first_row` of that split on."""

    split: str
    shards: int
    first_row: int
    rows: int


@dataclass(frozen=True)
class Manifest:
    """What a reader must know before it opens anything else.

    `version` counts how often the data set has grown. `content_digest` (hex) is over the rows of
    every split in their order, whatever the shard format. `statistics` and `counts` are nested
    plain values for people and reports; `tokenizer` holds the vocabulary size, the hash of the
    model and the special tokens.
    """

    version: int
    recipe_digest: str
    plan_digest: str
    content_digest: str
    rows: dict[str, int]
    row_format: RowFormat
    shard_format: str
    tokenizer: dict[str, Any]
    table: StoredFile
    table_blocks: tuple[TableBlock, ...]
    counts: dict[str, Any]
    statistics: dict[str, Any]

    def to_json(self) -> str:
        """Sealed text: the same data set gives the same bytes."""
        return seal(asdict(self) | {"row_format": self.row_format.to_mapping()})

    @classmethod
    def from_json(cls, text: str, place: str) -> Self:
        """Inverse of `to_json`; `DatasetError` naming `place` for anything else."""
        remedy = "run `blankstream repair` on the data set"
        return unseal(text, place, remedy, lambda content: cls._from_mapping(content, place))

    @classmethod
    def _from_mapping(cls, content: dict[str, Any], place: str) -> Self:
        return cls(
            version=int(content["version"]),
            recipe_digest=content["recipe_digest"],
            plan_digest=content["plan_digest"],
            content_digest=content["content_digest"],
            rows={split: int(content["rows"][split]) for split in SPLITS},
            row_format=RowFormat.from_mapping(content["row_format"], place),
            shard_format=str(content["shard_format"]),
            tokenizer=content["tokenizer"],
            table=StoredFile.from_mapping(content["table"]),
            table_blocks=tuple(TableBlock(**block) for block in content["table_blocks"]),
            counts=content["counts"],
            statistics=content["statistics"],
        )
