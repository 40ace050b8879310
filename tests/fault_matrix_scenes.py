"""The data set that a cell of the fault matrix damages, the cache in front of it, and its readers.

Stands between the cells and `fault_matrix_runs.py`, which judges what comes of the damage.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from pipeline import dataset as dataset_module
from pipeline.dataset import open_dataset
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_reading.reader import RowReader
from pipeline.stores.local import LocalStore
from schemas.errors import CorruptDataError
from schemas.manifest import TRAIN, StoredFile
from tests.cached_files import QUICK, RULES
from tests.fault_matrix_cells import COPY, LOCAL, PARTNER, ROWS, Cell, World
from tests.fault_matrix_faults import SHARD, SWAPPED, TABLE, Strike, strike

ALL = np.arange(len(ROWS))
_CACHE_BYTES = 10_000_000


class UnforeseenError(Exception):
    """What must not come of a fault; the message is the outcome."""


class _Elsewhere:
    """A store in a folder that does not say so: as object storage, without a server."""

    def __init__(self, folder: Path) -> None:
        self._store = LocalStore(folder)
        self.place, self.where = "s3://bucket/d", self._store.where
        self.read, self.pieces = self._store.read, self._store.pieces
        self.size, self.files = self._store.size, self._store.files


@dataclass
class Scene:
    """The data set of a cell in `folder`, the cache in front of it, and the files struck."""

    world: World
    cell: Cell
    folder: Path

    def __post_init__(self) -> None:
        self.source, self.cache = self.folder / "d", self.folder / "cache"
        self.original = self.world.dataset(self.cell.shard_format)
        shutil.copytree(self.original, self.source)
        self.name = self.world.name(self.cell.shard_format, self.cell.target)
        if self.cell.place == COPY:
            read(self.open(), ALL)

    def open(self) -> RowReader:
        """A reader as of a process that begins."""
        if self.cell.place == LOCAL:
            return open_dataset(self.source).reader(TRAIN)
        with self.elsewhere() as store:
            dataset = open_dataset(store.place, self.new_cache())
            dataset.place = CachedPlace(store, self.new_cache(), QUICK)
        return dataset.reader(TRAIN)

    def new_cache(self) -> CacheFolder:
        """The cache, as of a process that begins."""
        return CacheFolder(self.cache, _CACHE_BYTES, RULES)

    @contextmanager
    def elsewhere(self) -> Iterator[Any]:
        """The store of a URL; whatever is opened meanwhile is that one."""
        store = _Elsewhere(self.source)
        with mock.patch.object(dataset_module, "open_store", return_value=store):
            yield store

    def strike(self) -> None:
        """Damage the file."""
        shards = self.world.stored(self.cell.shard_format, SHARD)
        self.struck = {self._path(self.name): (self.original / self.name).read_bytes()}
        partner = self._path(shards[PARTNER].path)
        if self.cell.fault == SWAPPED:
            self.struck[partner] = (self.original / shards[PARTNER].path).read_bytes()
        foreign = self.world.foreign(self.cell.shard_format, self.name)
        one = Strike(self._path(self.name), partner, foreign, self.cell.position)
        strike(self.cell.fault, one)
        self.damaged = {path.read_bytes() for path in self.struck if path.exists()}

    def be_found(self) -> None:
        """What another process does that finds the copies damaged, but for fetching them again."""
        with self.elsewhere() as store:
            place = CachedPlace(store, self.new_cache(), QUICK)
        for stored in self._all_stored():
            if self._path(stored.path) in self.struck:
                place.set_aside(stored, CorruptDataError(f"{stored.path}: found"))

    def mend(self) -> None:
        """The files as they were, as `blankstream repair` puts them there."""
        for path, content in self.struck.items():
            fresh = path.with_name("fresh")
            fresh.write_bytes(content)
            fresh.replace(path)

    def is_healed(self) -> bool:
        """Whether the copies are good again; then what was damaged is in the quarantine."""
        if self.cell.place != COPY or not all(
            path.exists() and path.read_bytes() == content for path, content in self.struck.items()
        ):
            return False
        aside = {path.read_bytes() for path in (self.cache / "quarantine").iterdir()}
        if not self.damaged <= aside:
            raise UnforeseenError("healed, and no damaged copy in the quarantine")
        return True

    def _path(self, name: str) -> Path:
        """The file, or its copy."""
        if self.cell.place != COPY:
            return self.source / name
        sha256 = next(one.hashes.sha256 for one in self._all_stored() if one.path == name)
        return self.cache / "objects" / sha256[:2] / sha256

    def _all_stored(self) -> list[StoredFile]:
        """The files that are fetched."""
        targets = (SHARD, TABLE)
        return [
            one for target in targets for one in self.world.stored(self.cell.shard_format, target)
        ]


def read(reader: RowReader, numbers: NDArray[np.int64]) -> None:
    """Read rows, and hold them against the truth."""
    if not np.array_equal(reader.gather(numbers), ROWS[numbers]):
        raise UnforeseenError("wrong rows")
