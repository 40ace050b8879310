"""Records on disk: committing one, finding those there are, reading one that can be trusted.

Stands between the items and everything that looks at a data set as a whole.
"""

from collections.abc import Iterator
from dataclasses import fields
from itertools import groupby

from pipeline.stores.store import Store
from schemas.errors import DatasetError
from schemas.names import SLICES_PER_FOLDER, record_folder, record_name
from schemas.plan import WorkItem
from schemas.record import ItemRecord

_FOLDERS_REMEMBERED = 8


def commit_record(store: Store, item: WorkItem, record: ItemRecord) -> ItemRecord:
    """The commit point of an item: after it, the item is built; returns the record that stands.

    That is the one there already when it leaves out other documents: which of them kill a worker
    may depend on the machine. A damaged one is replaced. Raises `DatasetError` when another worker
    made something else of the same documents.
    """
    name, content = record_name(item), record.to_json().encode()
    if store.create(name, content) or store.read(name) == content:
        return record
    there = read_record(store, item)
    if there is None:
        store.replace(name, content)
        return record
    if there.excluded != record.excluded:
        return there
    differ = [
        one.name for one in fields(record) if getattr(there, one.name) != getattr(record, one.name)
    ]
    raise DatasetError(
        f"{store.where(name)}: another worker built this item to other bytes, from the same "
        f"documents ({', '.join(differ)} differ): its Python libraries have other versions, an "
        "input changed while it was read, or memory is faulty. What is there stays: install the "
        "same versions everywhere, run the same command again, and see what `blankstream verify "
        "--deep` says of the data set"
    )


def read_record(store: Store, item: WorkItem) -> ItemRecord | None:
    """The record of `item`; None while it is not built, or when its record is damaged."""
    name = record_name(item)
    try:
        text = store.read(name).decode("utf-8", "replace")
        record = ItemRecord.from_json(text, store.where(name))
    except (FileNotFoundError, DatasetError):
        return None
    return record if record.item == item.id else None


def unbuilt(store: Store, items: Iterator[WorkItem]) -> Iterator[WorkItem]:
    """Those of `items`, in table order, that have no record; one listing per thousand slices."""
    for _, group in groupby(items, key=_folder_key):
        together = list(group)
        first = together[0]
        found = store.files(record_folder(first.pass_number, first.slice.number))
        yield from (item for item in together if record_name(item) not in found)


def _folder_key(item: WorkItem) -> tuple[int, int, int]:
    return item.generation, item.pass_number, item.slice.number // SLICES_PER_FOLDER


class FolderListing:
    """Sizes of files by name, with one listing per folder; remembers the last few folders."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folders: dict[str, dict[str, int]] = {}

    def size(self, name: str) -> int | None:
        """Bytes of the file; None when there is none."""
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            while len(self._folders) >= _FOLDERS_REMEMBERED:
                del self._folders[next(iter(self._folders))]
            self._folders[folder] = self._store.files(folder)
        return self._folders[folder].get(name)


def missing_files(listing: FolderListing, record: ItemRecord) -> list[str]:
    """Names of the files of a record that are missing, or of another size than it says."""
    files = {shard.path: shard.hashes.bytes for shard in record.shards}
    files[record.documents.path] = record.documents.hashes.bytes
    if record.quarantine:
        files[record.quarantine.path] = record.quarantine.hashes.bytes
    return [name for name, size in files.items() if listing.size(name) != size]
