"""Plan: which work items a data set consists of, and the recipe that decides their bytes.

Stands between the inputs and the executors. A plan only ever grows: inputs, slices and generations
are appended, so that finished shards keep their bytes and their places. It holds no absolute path,
no host and no time.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from schemas.config import digest
from schemas.errors import DatasetError
from schemas.sealed import seal, unseal


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


@dataclass(frozen=True)
class Generation:
    """Work items added together: half-open ranges of slice numbers and of passes."""

    first_slice: int
    stop_slice: int
    first_pass: int
    stop_pass: int


def item_name(pass_number: int, slice_number: int) -> str:
    """`pass-0000/00012` for slice 12 in pass 0."""
    return f"pass-{pass_number:04d}/{slice_number:05d}"


@dataclass(frozen=True)
class WorkItem:
    """What one worker turns into shards: one slice under one pass. `id` is its identity."""

    id: str
    generation: int
    pass_number: int
    slice: Slice

    @property
    def name(self) -> str:
        """What its record and documents are called (`item_name`)."""
        return item_name(self.pass_number, self.slice.number)


@dataclass(frozen=True)
class Plan:
    """Append-only list of generations, all of one `recipe` (nested plain values)."""

    recipe: dict[str, Any]
    inputs: tuple[InputFile, ...] = ()
    slices: tuple[Slice, ...] = ()
    generations: tuple[Generation, ...] = ()
    recipe_digest: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe_digest", digest(self.recipe))

    @property
    def passes(self) -> int:
        """Number of passes over the first slices; 0 for an empty plan."""
        return max((generation.stop_pass for generation in self.generations), default=0)

    def grow(
        self, inputs: tuple[InputFile, ...], ranges: list[tuple[SourceRange, ...]], passes: int
    ) -> Self:
        """A plan with new slices and at least `passes` passes over everything.

        Existing items keep their numbers. Raises `DatasetError` when fewer passes are asked for
        than the plan has: a data set cannot shrink.
        """
        old, before = len(self.slices), self.passes
        if passes < before:
            raise DatasetError(
                f"build.passes={passes} is fewer than the {before} passes already planned; "
                f"a data set only grows: use build.passes={before} or another output folder"
            )
        slices = tuple(Slice(old + index, group) for index, group in enumerate(ranges))
        added = []
        if old and passes > before:
            added.append(Generation(0, old, before, passes))
        if slices:
            added.append(Generation(old, old + len(slices), 0, passes))
        return replace(
            self,
            inputs=self.inputs + inputs,
            slices=self.slices + slices,
            generations=self.generations + tuple(added),
        )

    def items(self) -> Iterator[WorkItem]:
        """Every work item in table order: generation, pass, slice."""
        for number, generation in enumerate(self.generations):
            for pass_number in range(generation.first_pass, generation.stop_pass):
                for slice_ in self.slices[generation.first_slice : generation.stop_slice]:
                    yield self._item(number, pass_number, slice_)

    def _item(self, generation: int, pass_number: int, slice_: Slice) -> WorkItem:
        ranges = [asdict(source) for source in slice_.ranges]
        identity = {"recipe": self.recipe_digest, "ranges": ranges, "pass": pass_number}
        return WorkItem(digest(identity), generation, pass_number, slice_)

    def to_json(self) -> str:
        """Sealed text: the same plan gives the same bytes."""
        return seal(asdict(self))

    @property
    def digest(self) -> str:
        """Hex SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str, place: str) -> Self:
        """Inverse of `to_json`; `DatasetError` naming `place` for anything else."""
        remedy = "restore the file from a copy, or build into another folder"
        return unseal(text, place, remedy, cls._from_mapping)

    @classmethod
    def _from_mapping(cls, content: dict[str, Any]) -> Self:
        return cls(
            recipe=content["recipe"],
            inputs=tuple(InputFile(**item) for item in content["inputs"]),
            slices=tuple(
                Slice(item["number"], tuple(SourceRange(**part) for part in item["ranges"]))
                for item in content["slices"]
            ),
            generations=tuple(Generation(**item) for item in content["generations"]),
        )
