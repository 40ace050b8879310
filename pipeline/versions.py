"""Versions of a data set: the one that is read, and those it has grown from, by their digests.

Stands between a stream's state, which names digests, and the data sets that were given. A data set
that has grown is the same data set: its rows keep their numbers, since growth only appends.
"""

import hashlib
from collections.abc import Callable, Sequence

from pipeline.courses import Version
from pipeline.dataset import Dataset
from pipeline.window_order import Numbers, TableRows
from schemas.errors import DatasetError
from schemas.manifest import Manifest, TableBlock
from schemas.names import manifest_name

REMEDY = "run `blankstream repair` on the data set, or copy its folder `manifests` too"


class Versions:
    """What `split` of `dataset` was in each version; earlier ones are read when they are asked for.

    `rows_of` gives the rows of the shards of a block of the table, as `TableRows` wants them.
    """

    def __init__(self, dataset: Dataset, split: str, rows_of: Callable[[int], Numbers]) -> None:
        self.dataset, self._split, self._rows_of = dataset, split, rows_of
        self._earlier: dict[str, Manifest] | None = None
        self.current = self._version(dataset.digest, dataset.manifest)

    def find(self, digest: str) -> Version | None:
        """The version of that digest; None when the data set never was that.

        `DatasetError` when an earlier version cannot be read, or has other rows than are there.
        """
        if digest == self.current.digest:
            return self.current
        if self._earlier is None:
            self._earlier = dict(self._read(n) for n in range(self.dataset.manifest.version))
        found = self._earlier.get(digest)
        return self._version(digest, found) if found and found.rows[self._split] else None

    def _read(self, number: int) -> tuple[str, Manifest]:
        name = manifest_name(number)
        place = self.dataset.store.where(name)
        try:
            content = self.dataset.store.read(name)
        except OSError as error:
            raise DatasetError(
                f"{place}: cannot be read ({error.strerror or error}), so it is not known whether "
                f"a state belongs to this data set; {REMEDY}"
            ) from error
        manifest = Manifest.from_json(content.decode("utf-8", "replace"), place)
        self._check_grown(manifest)
        return hashlib.sha256(content).hexdigest(), manifest

    def _check_grown(self, earlier: Manifest) -> None:
        """Rows of `earlier` must have the same numbers in the current version."""
        old, new = self._blocks(earlier), self._blocks(self.dataset.manifest)
        if not _is_beginning(old, new) or earlier.row_format != self.dataset.row_format:
            raise DatasetError(
                f"{self.dataset.name}: version {self.dataset.manifest.version} does not begin with "
                f"the rows of version {earlier.version}; {REMEDY}"
            )

    def _version(self, digest: str, manifest: Manifest) -> Version:
        table = TableRows(self._blocks(manifest), self._rows_of)
        return Version(digest, manifest.rows[self._split], table)

    def _blocks(self, manifest: Manifest) -> list[TableBlock]:
        return [block for block in manifest.table_blocks if block.split == self._split]


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


def check_different(versions: Sequence[Versions]) -> None:
    """`DatasetError` when one of the data sets is an earlier version of another one."""
    for one in versions:
        for other in versions:
            mine, theirs = one.dataset.manifest, other.dataset.manifest
            may_have_grown = mine.recipe_digest == theirs.recipe_digest
            if may_have_grown and mine.version < theirs.version and other.find(one.dataset.digest):
                raise DatasetError(
                    f"{other.dataset.name} has grown from {one.dataset.name}: mixed, rows would "
                    "come twice; give one of them"
                )
