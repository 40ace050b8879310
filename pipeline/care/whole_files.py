"""The larger files above the items: plan tables, shard table, tokenizer and splitter.

Stands between `whole.py` and the items. The shard table is read twice, a block at a time: once as a
whole, and once beside the items.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa

from pipeline.care.damage import DamageList, check_sha256
from pipeline.care.item_files import corrupt
from pipeline.care.whole import Whole
from pipeline.shard_formats.arrow_file import VerifiedArrowFile
from pipeline.shard_formats.tar_index import dataset_json
from pipeline.stores.store import Store
from pipeline.table import REBUILD_REMEDY, decode_entries
from pipeline.tools import open_tools
from schemas.errors import UserError
from schemas.manifest import SPLITS, TABLE_SCHEMA, Manifest, ShardEntry, StoredFile, TableBlock
from schemas.names import SPLITTER_NAME, TAR_INDEX_NAME, TOKENIZER_FOLDER
from schemas.plan import PLAN_REMEDY, WorkItem

Entries = tuple[ShardEntry, ...]


def check_plan_tables(whole: Whole) -> bool:
    """Read the tables of the plan; whether they are intact, so that there are items to look at."""
    tables = whole.plan_tables()
    return sum(is_intact(whole.damage, one) for one in tables) == len(tables)


def check_sums(whole: Whole) -> None:
    """Compare the SHA-256 of plan tables and shard table, for a deep check."""
    tables = whole.plan_tables() + ([whole.manifest.table] if whole.manifest else [])
    for table in tables:
        whole.damage.read(table, partial(check_sha256, expected=table.hashes.sha256))


def check_older(whole: Whole) -> None:
    """Read the shard tables of earlier versions."""
    for manifest in whole.older.values():
        if manifest:
            check_table(whole.damage, manifest)


def check_tools(whole: Whole) -> bool:
    """Open tokenizer and splitter; whether they are those of the recipe."""
    store = whole.store
    names = [*store.files(TOKENIZER_FOLDER), SPLITTER_NAME]
    whole.files |= {name for name in names if store.size(name) is not None}
    try:
        open_tools(store, whole.plan.recipe)
    except (UserError, FileNotFoundError) as error:
        name = SPLITTER_NAME if "splitter" in str(error) else TOKENIZER_FOLDER
        told = str(error).removeprefix(f"{store.where(name)}: ").removesuffix(f"; {PLAN_REMEDY}")
        whole.damage.add(name, told)
        return False
    return True


def is_intact(damage: DamageList, stored: StoredFile) -> bool:
    """Read a whole Arrow file; what is wrong with it goes to `damage`."""

    def read(path: Path) -> bool:
        with closing(VerifiedArrowFile(path, stored.hashes, REBUILD_REMEDY)) as file:
            for number in range(file.num_batches):
                file.batch(number)
        return True

    return damage.read(stored, read) or False


def read_inputs(store: Store, stored: StoredFile) -> list[str] | None:
    """Names in the table of a generation's inputs, in order; None where it is damaged."""
    if not is_intact(DamageList(store), stored):
        return None
    with store.local(stored.path) as path, pa.memory_map(str(path)) as source:
        names: list[str] = pa.ipc.open_file(source).read_all().column("path").to_pylist()
        return names


def check_table(damage: DamageList, manifest: Manifest) -> bool:
    """Read the shard table of `manifest`: its blocks, its rows, the digest of all content."""

    def read(path: Path) -> bool:
        whole = hashlib.sha256()
        for split in SPLITS:
            content, rows = hashlib.sha256(), 0
            for block, entries in _blocks(path, manifest, split):
                for entry in entries:
                    if entry.first_row != rows or entry.split != split:
                        raise corrupt(
                            path,
                            f"{entry.path}: expected row {rows} of {split} first, found row "
                            f"{entry.first_row} of {entry.split}",
                        )
                    rows += entry.rows
                    content.update(entry.rows_xxh3.to_bytes(8, "little"))
                if (len(entries), block.first_row + block.rows) != (block.shards, rows):
                    raise corrupt(path, f"expected {block}, found {len(entries)} to row {rows}")
            whole.update(content.digest())
        if whole.hexdigest() != manifest.content_digest:
            expected = manifest.content_digest
            raise corrupt(path, f"expected content {expected}, found {whole.hexdigest()}")
        return True

    return damage.read(manifest.table, read) or False


def _blocks(
    path: Path, manifest: Manifest, split: str
) -> Iterator[tuple[TableBlock, list[ShardEntry]]]:
    hashes = manifest.table.hashes
    with closing(VerifiedArrowFile(path, hashes, REBUILD_REMEDY, TABLE_SCHEMA)) as file:
        if file.num_batches != len(manifest.table_blocks):
            number = len(manifest.table_blocks)
            raise corrupt(path, f"expected {number} blocks, found {file.num_batches}")
        for number, block in enumerate(manifest.table_blocks):
            if block.split == split:
                yield block, decode_entries(file.batch(number))


def check_tar_index(whole: Whole) -> None:
    """Compare `dataset.json`, which a data set of tars has, with the shard table."""
    manifest, store = whole.manifest, whole.store
    if manifest is None or manifest.shard_format != "tar":
        return
    with store.local(manifest.table.path) as path:
        entries = (
            entry
            for split in SPLITS
            for _, block in _blocks(path, manifest, split)
            for entry in block
        )
        expected = dataset_json(manifest.row_format, manifest.tokenizer, entries)
    found = store.read(TAR_INDEX_NAME) if store.size(TAR_INDEX_NAME) is not None else b""
    if found != expected.encode():
        what = f"expected the {len(expected)} bytes that follow from the shard table, found others"
        whole.damage.add(TAR_INDEX_NAME, what)


class ItemEntries:
    """The entries of one item after the other, of a table that was checked."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self._streams = [self._entries(path, manifest, split) for split in SPLITS]
        self._next = [next(stream, None) for stream in self._streams]

    def of(self, item: WorkItem) -> Entries:
        """The entries of `item`; items are asked for in table order."""
        return tuple(self._take(item))

    def left(self) -> list[ShardEntry]:
        """The next entries, which belong to none of the items asked for."""
        return [entry for entry in self._next if entry is not None]

    def _take(self, item: WorkItem) -> Iterator[ShardEntry]:
        for number, stream in enumerate(self._streams):
            while (entry := self._next[number]) is not None and entry.item == item.id:
                yield entry
                self._next[number] = next(stream, None)

    @staticmethod
    def _entries(path: Path, manifest: Manifest, split: str) -> Iterator[ShardEntry]:
        for _, entries in _blocks(path, manifest, split):
            yield from entries


@contextmanager
def item_entries(store: Store, manifest: Manifest | None) -> Iterator[ItemEntries | None]:
    """The table of `manifest` by items; None for no manifest."""
    if manifest is None:
        yield None
        return
    with store.local(manifest.table.path) as path:
        yield ItemEntries(path, manifest)
