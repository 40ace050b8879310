"""Versions of a data set: the one that is read, and those it has grown from, by their digests.

Stands between a stream's state, which names digests, and the data sets that were given. A data set
that has grown is the same data set: its rows keep their numbers, since growth only appends.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import combinations

from pipeline.dataset import Dataset
from pipeline.orders.courses import Version
from pipeline.orders.segments import Segment
from pipeline.orders.window_order import TableRows
from pipeline.row_numbers import Numbers
from schemas.errors import DatasetError
from schemas.manifest import Manifest, TableBlock
from schemas.names import manifest_name

REMEDY = "run `blankstream repair` on the data set, or copy its folder `manifests` too"


class Lineage:
    """What `dataset` was in each version; earlier ones are read when they are asked for.

    `DatasetError` where an earlier version cannot be read, or has other rows than are there.
    """

    def __init__(self, dataset: Dataset, split: str) -> None:
        self.dataset, self.split = dataset, split

    def was(self, digest: str) -> bool:
        """Whether the data set is, or once was, the one of that digest, with rows in the split."""
        return self.manifest(digest) is not None

    def manifest(self, digest: str) -> Manifest | None:
        """The manifest of that digest; None when the data set never was that, or had no rows."""
        if digest == self.dataset.digest:
            return self.dataset.manifest
        return self._earlier.get(digest)

    @property
    def digests(self) -> set[str]:
        """Of all versions with rows in the split."""
        return {self.dataset.digest, *self._earlier}

    @cached_property
    def first(self) -> str | None:
        """Digest of the first version; None where its manifest is not there, or damaged."""
        if not self.dataset.manifest.version:
            return self.dataset.digest
        try:
            return self._read(0)[0]
        except DatasetError:
            return None

    def has_been(self, digest: str) -> bool:
        """Whether the data set is, or once was, the one of that digest, with or without rows."""
        return digest == self.dataset.digest or digest in self._versions

    @property
    def _earlier(self) -> dict[str, Manifest]:
        return {digest: one for digest, one in self._versions.items() if one.rows[self.split]}

    @cached_property
    def _versions(self) -> dict[str, Manifest]:
        return dict(self._read(number) for number in range(self.dataset.manifest.version))

    def _read(self, number: int) -> tuple[str, Manifest]:
        name = manifest_name(number)
        place = self.dataset.store.where(name)
        try:
            content = self.dataset.store.read(name)
        except OSError as error:
            raise DatasetError(
                f"{place}: cannot be read ({error.strerror or error}), so it is not known "
                f"what this data set has grown from; {REMEDY}"
            ) from error
        manifest = Manifest.from_bytes(content, place)
        self._check_grown(manifest)
        return hashlib.sha256(content).hexdigest(), manifest

    def _check_grown(self, earlier: Manifest) -> None:
        """Rows of `earlier` must have the same numbers in the current version."""
        current = self.dataset.manifest
        old, new = earlier.blocks_of(self.split), current.blocks_of(self.split)
        if not _is_beginning(old, new) or earlier.row_format != current.row_format:
            raise DatasetError(
                f"{self.dataset.name}: version {current.version} does not begin with "
                f"the rows of version {earlier.version}; {REMEDY}"
            )


class Versions:
    """The versions of a data set as `Visits` wants them.

    `rows_of` gives the rows of the shards of a block of the table, as `TableRows` wants them.
    """

    def __init__(self, dataset: Dataset, split: str, rows_of: Callable[[int], Numbers]) -> None:
        self.lineage, self._rows_of = Lineage(dataset, split), rows_of
        self.current = self._version(dataset.digest, dataset.manifest)

    def find(self, digest: str) -> Version | None:
        """The version of that digest; None when the data set never was that. Errors as of
        `Lineage`."""
        found = self.lineage.manifest(digest)
        return self._version(digest, found) if found else None

    def _version(self, digest: str, manifest: Manifest) -> Version:
        return Version(digest, TableRows(manifest.blocks_of(self.lineage.split), self._rows_of))


def _is_beginning(old: Sequence[TableBlock], new: Sequence[TableBlock]) -> bool:
    """Whether blocks `new` begin with the rows of `old`, whose last block may have been filled."""
    if not old:
        return True
    last, same = old[-1], new[len(old) - 1 : len(old)]
    return (
        list(old[:-1]) == list(new[: len(old) - 1])
        and bool(same)
        and same[0].first_row == last.first_row
        and (same[0] == last or (same[0].shards > last.shards and same[0].rows > last.rows))
    )


def check_different(lineages: Sequence[Lineage]) -> None:
    """`DatasetError` when two of the data sets were once the same one.

    One of them may still be that, or both have grown since: the rows of then are in both. Other
    recipes have other ancestors, whose manifests need not be read.
    """
    for one, other in combinations(lineages, 2):
        if one.dataset.manifest.recipe_digest != other.dataset.manifest.recipe_digest:
            continue
        shared = one.digests & other.digests
        if shared:
            raise DatasetError(
                f"{_how_shared(one, other, shared)}: mixed, rows would come twice; give one of them"
            )


def check_not_earlier(segments: Sequence[Segment], lineages: Sequence[Lineage]) -> None:
    """`DatasetError` when `segments` read a later version of one of the data sets, or one that has
    grown otherwise from the same first version: which rows were read of it cannot be told here.
    """
    firsts: dict[str, str] = {}
    for segment in segments:  # one may know what another does not
        firsts = dict.fromkeys(segment.datasets, "") | firsts | segment.grown_from
    for digest, first in firsts.items():
        for lineage in lineages:
            if lineage.first == (first or digest) and not lineage.has_been(digest):
                raise DatasetError(
                    f"{lineage.dataset.name}: the state was saved with data set {digest[:12]}, "
                    f"which has {(first or digest)[:12]} for its first version too and is no "
                    "earlier version of this one, so that rows would come twice; give the version "
                    "that the state names, or one grown from it"
                )


def _how_shared(one: Lineage, other: Lineage, shared: set[str]) -> str:
    for older, newer in ((one, other), (other, one)):
        if older.dataset.digest in shared:
            return f"{newer.dataset.name} has grown from {older.dataset.name}"
    ancestors = ", ".join(sorted(digest[:12] for digest in shared))
    return f"{one.dataset.name} and {other.dataset.name} have both grown from {ancestors}"
