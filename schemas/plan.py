"""Plan: which work items a data set consists of, and the recipe that decides their bytes.

Stands between the inputs and the executors. A plan only ever grows: generations are appended, so
that finished shards keep their bytes and their places. The inputs and slices of a generation are
in tables beside it (`pipeline/plan_tables.py`). It holds no absolute path, no host and no time.
"""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Self

from schemas.checked import PassNumber, parse
from schemas.config import digest
from schemas.errors import DatasetError
from schemas.json_text import fields_of
from schemas.manifest import StoredFile
from schemas.names import item_name
from schemas.recipe import check_recipe
from schemas.sealed import seal, unseal

PLAN_REMEDY = (
    "run `blankstream repair` on the data set, or, where its first build has not finished, build "
    "into another folder"
)
"""What to do about damage in anything that was written when a data set was begun."""


@dataclass(frozen=True)
class InputFile:
    """One input, by content: `path` is relative to the input root and uses forward slashes.

    The same for a file and for the same bytes behind a URL.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SourceRange:
    """Half-open range of an input's bytes as stored, cut at document boundaries.

    Of Parquet it stands for the row groups that begin in it. `xxh3` is over these bytes, then over
    those outside that decide how they are read: the head of the file, the footer of Parquet.
    """

    path: str
    start: int
    stop: int
    xxh3: str


@dataclass(frozen=True)
class Slice:
    """The input of one work item per pass: ranges read one after another."""

    number: int
    ranges: tuple[SourceRange, ...]

    @property
    def bytes(self) -> int:
        """Bytes of input as stored."""
        return sum(part.stop - part.start for part in self.ranges)


@dataclass(frozen=True)
class Generation:
    """Work items added together: half-open ranges of slice numbers and of passes.

    `slices` and `inputs` are the tables of what it brought in, None where it repeats older slices
    in further passes.
    """

    first_slice: int
    stop_slice: int
    first_pass: PassNumber
    stop_pass: PassNumber
    slices: StoredFile | None = None
    inputs: StoredFile | None = None

    @property
    def num_items(self) -> int:
        """Work items in it."""
        return (self.stop_slice - self.first_slice) * (self.stop_pass - self.first_pass)

    def check(self) -> None:
        """Raise `ValueError` for a range that ends before it begins, and for one table of two."""
        for first, stop in (
            (self.first_slice, self.stop_slice),
            (self.first_pass, self.stop_pass),
        ):
            if first > stop:
                raise ValueError(f"expected a half-open range, found {first} .. {stop}")
        if (self.slices is None) != (self.inputs is None):
            raise ValueError("expected tables of both slices and inputs, or none")


@dataclass(frozen=True)
class WorkItem:
    """What one worker turns into shards: one slice under one pass. `id` is its identity."""

    id: str
    generation: int
    pass_number: int
    slice: Slice

    @property
    def slice_number(self) -> int:
        """Number of its slice."""
        return self.slice.number

    @property
    def name(self) -> str:
        """What its files are called (`names.item_name`)."""
        return item_name(self.pass_number, self.slice.number)

    @property
    def input_key(self) -> str:
        """Hash of the input and the pass, whatever the recipe: keys what is drawn per item."""
        return digest({"ranges": _ranges(self.slice), "pass": self.pass_number})


def work_item(recipe_digest: str, generation: int, pass_number: int, slice_: Slice) -> WorkItem:
    """The item of `slice_` under a pass; its id hashes the recipe, the ranges and the pass."""
    identity = {"recipe": recipe_digest, "ranges": _ranges(slice_), "pass": pass_number}
    return WorkItem(digest(identity), generation, pass_number, slice_)


def _ranges(slice_: Slice) -> list[dict[str, Any]]:
    return [dict(vars(source)) for source in slice_.ranges]


@dataclass(frozen=True)
class NewSlices:
    """What a generation brings in: so many slices, in the tables `slices` and `inputs`."""

    count: int
    slices: StoredFile
    inputs: StoredFile


@dataclass(frozen=True)
class Plan:
    """Append-only list of generations, all of one `recipe` (nested plain values)."""

    recipe: dict[str, Any]
    generations: tuple[Generation, ...] = ()
    recipe_digest: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe_digest", digest(self.recipe))

    @property
    def num_slices(self) -> int:
        """Slices of all generations together."""
        return max((generation.stop_slice for generation in self.generations), default=0)

    @property
    def passes(self) -> int:
        """Number of passes over every slice; 0 for an empty plan."""
        return max((generation.stop_pass for generation in self.generations), default=0)

    @property
    def num_items(self) -> int:
        """Work items of all generations together."""
        return sum(generation.num_items for generation in self.generations)

    def grow(self, new: NewSlices | None, passes: int) -> Self:
        """A plan with new slices and at least `passes` passes over everything.

        Existing items keep their numbers. Raises `DatasetError` when fewer passes are asked for
        than the plan has: a data set cannot shrink.
        """
        old, before = self.num_slices, self.passes
        if passes < before:
            raise DatasetError(
                f"build.passes={passes} is fewer than the {before} passes already planned; "
                f"a data set only grows: use build.passes={before} or another output folder"
            )
        added = []
        if old and passes > before:
            added.append(Generation(0, old, before, passes))
        if new:
            added.append(Generation(old, old + new.count, 0, passes, new.slices, new.inputs))
        return replace(self, generations=self.generations + tuple(added))

    def to_json(self) -> str:
        """Sealed text: the same plan gives the same bytes."""
        return seal(fields_of(self))

    @property
    def digest(self) -> str:
        """Hex SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str, place: str) -> Self:
        """Inverse of `to_json`; `DatasetError` naming `place` for anything else."""
        return unseal(text, place, PLAN_REMEDY, lambda content: parse(cls, content))

    def check(self) -> None:
        """Raise `ValueError` unless the recipe says what every reader of a plan needs."""
        check_recipe(self.recipe)
