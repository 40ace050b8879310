"""Span, Sample and the bytes of a row: what the samplers make and the shards hold.

Stands between `pipeline/spans.py` and the shards (`pipeline/shard_formats/`); docs/sample-format.md
walks through the same definitions with the worked example of the paper's figure 2.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.checked import Limits

SCHEMA_VERSION = 3
"""Version of rows, shards, records, plan and manifest; CHANGELOG.md marks every change."""

SHARD_FORMATS = ("arrow", "arrow-lz4", "arrow-zstd", "tar")
"""How rows are stored: Arrow as it is mapped, Arrow with compressed buffers, or tars of tensors."""

ORIGIN_COLUMNS = ("document", "window", "start", "stop")
"""Beside each row, per sample: index into the item's documents, window number in the document, and
the half-open range of the document's tokens that the window covers."""


class Span(NamedTuple):
    """Half-open token range [start, stop) of a window, replaced there by one mask token."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Window:
    """A contiguous slice of one document, with its [CLS] and eos where configured.

    `tokens` is int32. `first` is the index of its first maskable token (1 after [CLS]) and `last`
    the end of the maskable range; `sentence_ends` are the ends of its sentences, ascending, in the
    window's own coordinates, the last one equal to `last`. `start`, `stop` count document tokens.
    The tokens before `first` that are not [CLS] are `prompt` tokens of a prompt.
    """

    tokens: NDArray[np.int32]
    first: int
    last: int
    sentence_ends: NDArray[np.int64]
    number: int
    start: int
    stop: int
    prompt: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One assembled window: part A (the corrupted text), then part B (the spans).

    The four arrays are int32 of equal length; `labels` holds `IGNORE_INDEX` where nothing is
    predicted. `boundary` is the length of part A. `objective` is a code of `RowFormat.objectives`.
    """

    tokens: NDArray[np.int32]
    labels: NDArray[np.int32]
    positions: NDArray[np.int32]
    block_positions: NDArray[np.int32]
    boundary: int
    objective: int = 0
    document: int = 0
    window: int = 0
    start: int = 0
    stop: int = 0


@dataclass(frozen=True)
class RowFormat:
    """Geometry of a row: `width` numbers of `dtype`, in the order of `slices`.

    A row is one contiguous run of numbers: tokens, labels, positions, block positions (`row_tokens`
    each), then lengths, boundaries, objectives (`max_samples` each). Everything a trainer reads is
    thus one copy (benchmarks/layouts.py: x1.5 over keeping the last three beside it). Unsigned, 16
    bits where the vocabulary and `ignore` (the type's largest value) fit, else 32.
    """

    row_tokens: Annotated[int, Limits(1, 2**20)]
    max_samples: Annotated[int, Limits(1, 4096)]
    dtype: str
    objectives: tuple[str, ...]

    @classmethod
    def for_vocabulary(
        cls, vocab_size: int, row_tokens: int, max_samples: int, objectives: tuple[str, ...]
    ) -> Self:
        """The narrowest format whose type holds every id, every position and IGNORE apart."""
        narrow = max(vocab_size, row_tokens + 1) <= np.iinfo(np.uint16).max
        return cls(row_tokens, max_samples, "uint16" if narrow else "uint32", objectives)

    @property
    def ignore(self) -> int:
        """Label on disk of a token that is not predicted: the type's largest value."""
        return int(np.iinfo(self.dtype).max)

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return 4 * self.row_tokens + 3 * self.max_samples

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, without its origin."""
        return self.width * np.dtype(self.dtype).itemsize

    @property
    def slices(self) -> dict[str, slice]:
        """Name of each part of a row -> its half-open place in the row's numbers."""
        names = ["tokens", "labels", "positions", "block_positions"]
        sizes = dict.fromkeys(names, self.row_tokens)
        sizes |= dict.fromkeys(["lengths", "boundaries", "objectives"], self.max_samples)
        ends = np.cumsum(list(sizes.values())).tolist()
        return {
            name: slice(end - size, end)
            for (name, size), end in zip(sizes.items(), ends, strict=True)
        }

    def arrow_schema(self) -> pa.Schema:
        """Schema of a shard; its metadata is all another program needs to read the rows."""
        return _arrow_schema(self)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for the metadata of a shard and for the manifest."""
        return {
            "schema_version": SCHEMA_VERSION,
            "row_tokens": self.row_tokens,
            "max_samples": self.max_samples,
            "dtype": self.dtype,
            "ignore": self.ignore,
            "objectives": list(self.objectives),
        }

    def check(self) -> None:
        """Raise `ValueError` for a type that no row has."""
        if self.dtype not in ("uint16", "uint32"):
            raise ValueError(f"dtype: expected uint16 or uint32, found {self.dtype!r:.60}")


def row_format_of(recipe: dict[str, Any]) -> RowFormat:
    """Row format that a recipe leads to; objectives are coded 1, 2, ... in the order of names."""
    build = recipe["build"]
    return RowFormat.for_vocabulary(
        recipe["tokenizer"]["vocab_size"],
        build["row_tokens"],
        build["max_samples"],
        tuple(sorted(build["objective"])),
    )


class RowArrays(NamedTuple):
    """Many rows: `rows` (n, width) of the format's dtype, `origin` (4, n, max_samples) uint32."""

    rows: NDArray[Any]
    origin: NDArray[np.uint32]


@cache
def _arrow_schema(row_format: RowFormat) -> pa.Schema:
    """Made once: for each shard that is opened it would take as long as mapping the file."""
    number = pa.uint16() if row_format.dtype == "uint16" else pa.uint32()
    fields = [pa.field("row", pa.list_(number, row_format.width), nullable=False)]
    fields += [
        pa.field(name, pa.list_(pa.uint32(), row_format.max_samples), nullable=False)
        for name in ORIGIN_COLUMNS
    ]
    return pa.schema(fields, {"blankstream": json.dumps(row_format.to_mapping(), sort_keys=True)})
