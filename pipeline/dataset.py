"""A finished data set on disk: its manifest, checked at the door, and readers of its splits.

Stands between the build, which writes `manifest.json` last, and the stream.
"""

import hashlib
import os
from pathlib import Path

from pipeline.orders.order_names import FEW_OPEN_SHARDS
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_formats.mappings import HOLDS_DESCRIPTORS
from pipeline.shard_formats.shard_file import known_format
from pipeline.shard_reading.decoded_shards import DecodedBatches
from pipeline.shard_reading.open_shards import MAPPED_FORMAT, OpenShards, ShardSource
from pipeline.shard_reading.reader import RowReader
from pipeline.shard_reading.shard_places import LocalPlace, ShardPlace
from pipeline.shard_reading.shard_table import ShardTable
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from pipeline.table import REBUILD_REMEDY
from schemas.errors import DatasetError, UserError
from schemas.manifest import SPLITS, Manifest
from schemas.names import MANIFEST_NAME, PLAN_NAME, manifest_name
from schemas.samples import RowFormat

MAX_OPEN_SHARDS = 1 << 14
"""Shards open at once in one stream: a quarter of the mappings that Linux allows a process.

`FEW_OPEN_SHARDS` instead where each takes a file descriptor, or is a copy in a cache, which keeps
its place on the disk as long as it is open."""
DECODED_BYTES = 2 << 30
"""Memory for decoded rows of one reader, or of all readers of a stream together."""

_VERSIONS = manifest_name(0).rpartition("/")[0]


class Dataset:
    """What the manifest of one data set says. `digest`, its identity, is the hex SHA-256 of the
    manifest's bytes, and through the hashes in it of everything that is ever read.

    `store` has its small files; `place` is where its shards and their table are opened.
    """

    def __init__(self, store: Store, place: ShardPlace, manifest: Manifest, digest: str) -> None:
        self.store, self.place = store, place
        self.manifest, self.digest = manifest, digest

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """Path or URL, for people."""
        return self.store.place

    @property
    def row_format(self) -> RowFormat:
        """Geometry of every row of the data set."""
        return self.manifest.row_format

    @property
    def tokenizer_hash(self) -> str:
        """Hash of the tokenizer's model; data sets are mixed only where it is equal."""
        return str(self.manifest.tokenizer.get("model_sha256", ""))

    @property
    def is_mapped(self) -> bool:
        """Whether rows in any order are copied straight out of files that stay where they are."""
        return self.manifest.shard_format == MAPPED_FORMAT and not self.place.are_copies

    def max_open_shards(self, num_datasets: int = 1) -> int:
        """Shards that may be open at once, in a stream over so many data sets."""
        is_cheap = not self.place.are_copies and not HOLDS_DESCRIPTORS
        return max(1, (MAX_OPEN_SHARDS if is_cheap else FEW_OPEN_SHARDS) // num_datasets)

    def num_rows(self, split: str) -> int:
        """Rows of `split`; `UserError` for a split that does not exist."""
        return self.manifest.rows[_checked(split)]

    def reader(
        self,
        split: str,
        max_open_shards: int | None = None,
        memory: DecodedBatches | None = None,
    ) -> RowReader:
        """A new reader of `split`, with its own memory of what was verified.

        At most `max_open_shards` are open at once (None: as many as the data set's may be).
        Shards that are not mapped are decoded into `memory`, which no other reader may have (None:
        `DECODED_BYTES` of its own). `DatasetError` for a shard format that this release does not
        know.
        """
        shard_format = known_format(self.manifest.shard_format, f"{self.name}: ")
        table = ShardTable(self.place, self.manifest, _checked(split))
        source = ShardSource(self.place, shard_format, self.row_format)
        limit = max_open_shards or self.max_open_shards()
        return RowReader(table, OpenShards(source, limit, memory or DecodedBatches(DECODED_BYTES)))


def open_dataset(place: Path | str, cache: CacheFolder | None = None) -> Dataset:
    """The data set at `place`, a folder or URL; shards and their table are opened when they are
    read, those behind a URL through `cache`.

    Raises `DatasetError` when there is none, its build is unfinished, or its manifest not one that
    agrees with itself; `UserError` for a URL without a cache.
    """
    store = open_store(place)
    if isinstance(store, LocalStore):
        return parse_dataset(store, LocalPlace(store.folder), _read_manifest(store))
    if cache is None:
        raise UserError(
            f"{store.place}: a data set behind a URL is read through a local cache; give a folder "
            "for it, cache=FOLDER (`--cache FOLDER`)"
        )
    return parse_dataset(store, CachedPlace(store, cache), _read_manifest(store))


def parse_dataset(store: Store, place: ShardPlace, content: bytes) -> Dataset:
    """The data set in `store` whose `manifest.json` is `content` and whose shards `place` opens.

    Raises `DatasetError` when the manifest is not one that agrees with itself.
    """
    where = store.where(MANIFEST_NAME)
    manifest = Manifest.from_bytes(content, where)
    _check_blocks(manifest, where)
    return Dataset(store, place, manifest, hashlib.sha256(content).hexdigest())


def _read_manifest(store: Store) -> bytes:
    try:
        return store.read(MANIFEST_NAME)
    except OSError as error:
        raise DatasetError(_why_unreadable(store, error)) from error


def _why_unreadable(store: Store, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return (
            f"{store.where(MANIFEST_NAME)}: cannot be read ({error.strerror}); ask its owner for "
            "permission, or read as a user who has it"
        )
    if isinstance(store, LocalStore) and not os.path.isdir(store.folder):
        if os.path.exists(store.folder):
            return f"{store.place}: a file, expected the folder of a data set"
        return f"{store.place}: no such folder; expected a data set made by `blankstream build`"
    if isinstance(error, FileNotFoundError):
        if store.files(_VERSIONS):
            return (
                f"{store.place}: no {MANIFEST_NAME}, though the data set was finished: its folder "
                f"{_VERSIONS} has the manifest of a version; run `blankstream repair "
                f"{store.place}` to write it again"
            )
        if store.size(PLAN_NAME) is not None:
            return (
                f"{store.place}: no {MANIFEST_NAME}: the build has not finished; run the same "
                "`blankstream build` again to complete it"
            )
        return (
            f"{store.place}: neither {MANIFEST_NAME} nor {PLAN_NAME} is there; expected a data set "
            "made by `blankstream build`"
        )
    return f"{store.where(MANIFEST_NAME)}: cannot be read ({error.strerror or error})"


def _check_blocks(manifest: Manifest, place: str) -> None:
    """The table's blocks must cover the rows of every split, in order and without a gap."""
    found = dict.fromkeys(SPLITS, 0)
    for block in manifest.table_blocks:
        in_order = found.get(block.split) == block.first_row
        found[block.split] = block.first_row + block.rows if in_order else -1
    if found != manifest.rows or len(manifest.table.hashes.xxh3) != len(manifest.table_blocks) + 2:
        raise DatasetError(
            f"{place}: rows per split {manifest.rows} do not agree with the blocks of the shard "
            f"table, which cover {found}; {REBUILD_REMEDY}"
        )


def _checked(split: str) -> str:
    if split not in SPLITS:
        raise UserError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    return split
