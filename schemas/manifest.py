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

MANIFEST_NAME = "manifest.json"
PLAN_NAME = "plan.json"
TABLE_NAME = "shards.arrow"
TOKENIZER_FOLDER = "tokenizer"
SPLITTER_NAME = "splitter.json"


@dataclass(frozen=True)
class FileHashes:
    """Size and hashes of one Arrow file, region by region.

    Region 0 is everything before the first record batch, the last one everything behind the last
    batch, and those between are the record batches. `offsets` has one entry more than `xxh3` (64
    bits each); the regions cover the file without a gap. `sha256` is of the whole file.
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
class ShardEntry:
    """One shard: a file of rows. `path` is relative to the data set, with forward slashes."""

    path: str
    split: str
    generation: int
    pass_number: int
    slice: int
    rows: int
    first_row: int
    hashes: FileHashes


TABLE_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("generation", pa.uint32(), nullable=False),
        pa.field("pass", pa.uint32(), nullable=False),
        pa.field("slice", pa.uint32(), nullable=False),
        pa.field("rows", pa.uint64(), nullable=False),
        pa.field("first_row", pa.uint64(), nullable=False),
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

    `statistics` and `counts` are nested plain values for people and reports; `tokenizer` holds the
    vocabulary size, the hash of the model and the special tokens.
    """

    recipe_digest: str
    plan_digest: str
    rows: dict[str, int]
    row_format: RowFormat
    tokenizer: dict[str, Any]
    table: FileHashes
    table_blocks: tuple[TableBlock, ...]
    counts: dict[str, Any]
    statistics: dict[str, Any]

    def to_json(self) -> str:
        """Sealed text: the same data set gives the same bytes."""
        return seal(asdict(self) | {"row_format": self.row_format.to_mapping()})

    @classmethod
    def from_json(cls, text: str, place: str) -> Self:
        """Inverse of `to_json`; `DatasetError` naming `place` for anything else."""
        remedy = "delete it and run the same `blankstream build` again to write it"
        return unseal(text, place, remedy, lambda content: cls._from_mapping(content, place))

    @classmethod
    def _from_mapping(cls, content: dict[str, Any], place: str) -> Self:
        return cls(
            recipe_digest=content["recipe_digest"],
            plan_digest=content["plan_digest"],
            rows={split: int(content["rows"][split]) for split in SPLITS},
            row_format=RowFormat.from_mapping(content["row_format"], place),
            tokenizer=content["tokenizer"],
            table=FileHashes.from_mapping(content["table"]),
            table_blocks=tuple(TableBlock(**block) for block in content["table_blocks"]),
            counts=content["counts"],
            statistics=content["statistics"],
        )
