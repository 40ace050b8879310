"""Manifest and shard table: the index of a finished data set, written last.

Stands between the build, which writes it, and the stream, which reads nothing without it. It holds
no time, host or path outside the data set, so that equal plans give equal manifests.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Self

import pyarrow as pa

from schemas.checked import Hash64, Limits, parse
from schemas.json_text import fields_of
from schemas.objectives import SpecialTokens
from schemas.samples import RowFormat
from schemas.sealed import seal, unseal
from schemas.written import as_written

TRAIN, HELDOUT = "train", "heldout"
SPLITS = (TRAIN, HELDOUT)

_IDS = dict[str, int]
_SHA256 = re.compile("[0-9a-f]{64}")
_REMEDY = "run `blankstream repair` on the data set"


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
    xxh3: tuple[Hash64, ...]

    def check(self) -> None:
        """Raise `ValueError` unless the offsets lead from 0 to the end of the file, region by
        region, and the SHA-256 is one."""
        offsets = self.offsets
        is_covered = len(offsets) == len(self.xxh3) + 1 and tuple(sorted(offsets)) == offsets
        if not is_covered or (offsets[0], offsets[-1]) != (0, self.bytes):
            raise ValueError(f"offsets {offsets!s:.60} do not cover {self.bytes} bytes")
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256: expected 64 digits, found {self.sha256!r:.80}")


@dataclass(frozen=True)
class StoredFile:
    """A file of the data set: `path` is relative to it and holds a hash of the content."""

    path: str
    hashes: FileHashes


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

    @property
    def stored(self) -> StoredFile:
        """Its file."""
        return StoredFile(self.path, self.hashes)


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

    def check(self) -> None:
        """Raise `ValueError` for a split that does not exist."""
        check_split(self.split)


def check_split(split: str) -> None:
    """Raise `ValueError` for a split that does not exist."""
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, found {split!r:.60}")


@dataclass(frozen=True)
class Manifest:
    """What a reader must know before it opens anything else.

    `version` counts how often the data set has grown. `content_digest` (hex) is over the rows of
    every split in their order, whatever the shard format. `statistics` and `counts` are nested
    plain values for people and reports; `tokenizer` holds the vocabulary size, the hash of the
    model and the special tokens.
    """

    version: Annotated[int, Limits(0, 10**9)]
    recipe_digest: str
    plan_digest: str
    content_digest: str
    rows: dict[str, int]
    row_format: RowFormat
    shard_format: str
    tokenizer: dict[str, Any]
    table: StoredFile
    table_blocks: tuple[TableBlock, ...]
    counts: dict[str, int]
    statistics: dict[str, Any]

    def to_json(self) -> str:
        """Sealed text: the same data set gives the same bytes."""
        return seal(fields_of(self) | {"row_format": self.row_format.to_mapping()})

    @classmethod
    def from_json(cls, text: str, place: str) -> Self:
        """Inverse of `to_json`; `DatasetError` naming `place` for anything else."""
        return unseal(text, place, _REMEDY, lambda content: parse(cls, content))

    @classmethod
    def from_bytes(cls, content: bytes, place: str) -> Self:
        """The manifest whose file has these bytes, from which its digest is taken.

        `DatasetError` naming `place` for anything else, also where it was only formatted anew.
        """
        return as_written(content, place, cls.from_json, _REMEDY)

    def blocks_of(self, split: str) -> list[TableBlock]:
        """The blocks of the table that list the shards of `split`, in order of their rows."""
        return [block for block in self.table_blocks if block.split == split]

    def num_shards(self, split: str) -> int:
        """Shards of `split`."""
        return sum(block.shards for block in self.blocks_of(split))

    def check(self) -> None:
        """Raise `ValueError` unless both splits have rows or 0, and special tokens are known."""
        if self.rows.keys() != set(SPLITS):
            raise ValueError(f"rows: expected {', '.join(SPLITS)}, found {list(self.rows)!s:.60}")
        if "special" in self.tokenizer:
            special = SpecialTokens.from_mapping(parse(_IDS, self.tokenizer["special"]))
            if max(special.to_mapping().values()) >= 2**31 or special.num_sentinels > 10_000:
                raise ValueError(f"special: ids and sentinels beyond any tokenizer, {special}")
