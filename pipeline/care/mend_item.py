"""A damaged work item made whole: built once more, compared, and only what differs put in place.

What the executors run for `blankstream repair`.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator

from pipeline.build import BuildContext
from pipeline.care.record_laws import read_item_record, shard_of
from pipeline.care.rederive import difference, files_of, rebuilt
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import ShardEntry
from schemas.names import quarantine_name, record_name
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemRecord

Entries = tuple[ShardEntry, ...]

_EXCLUDED = ("killed_worker", "raised_error")


def mend_item(context: BuildContext, item: WorkItem, entries: Entries | None) -> list[str]:
    """Build `item` once more and put back what is damaged; names of the files written.

    What is built must be what the record says, or have the shards of the shard table (`entries`,
    None where that is damaged); where both are damaged it is taken as it comes. Intact files are
    not touched, documents left out before stay out. Raises `InputError` for sources that have
    changed, and `CorruptDataError`, with nothing written, when something else is built.
    """
    store = open_store(context.dataset)
    record = _record(store, item)
    told = ""
    for excluded in _exclusions(store, item, record):
        with rebuilt(context, item, excluded) as (scratch, again):
            if _is_expected(again, record, entries):
                return _put(store, scratch, item, again)
            told = difference(record, again) if record else "expected other shards in its table"
    raise CorruptDataError(
        f"{store.where(record_name(item))}: its sources give another item: {told}; compare the "
        "sources and the library versions with those of the build, or restore the item's files "
        "from a copy"
    )


def _record(store: Store, item: WorkItem) -> ItemRecord | None:
    name = record_name(item)
    try:
        return read_item_record(store.read(name), item, name)
    except (FileNotFoundError, DatasetError):
        return None


def _is_expected(again: ItemRecord, record: ItemRecord | None, entries: Entries | None) -> bool:
    if entries is None:
        return record is None or again == record
    return again == record or again.shards == tuple(map(shard_of, entries))


def _exclusions(
    store: Store, item: WorkItem, record: ItemRecord | None
) -> Iterator[tuple[Exclusion, ...]]:
    """What to leave out: as the record says, else as the quarantine of the slice, else nothing."""
    if record:
        yield record.excluded
        return
    prefix = quarantine_name(item, "").removesuffix(".jsonl")
    for name in store.files(prefix.rpartition("/")[0]):
        if name.startswith(prefix) and (found := _excluded_lines(store.read(name))):
            yield found
    yield ()


def _excluded_lines(content: bytes) -> tuple[Exclusion, ...]:
    """Documents that were left out because they failed workers; none from a damaged file."""
    found = []
    try:
        for line in content.splitlines():
            one = json.loads(line)
            if one["reason"] in _EXCLUDED:
                place = (one["id"], one["path"], one["start"], one["stop"])
                found.append(Exclusion(*place, one["reason"], one["detail"]))
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(found)


def _put(store: Store, scratch: LocalStore, item: WorkItem, record: ItemRecord) -> list[str]:
    """Copy the files of `record` that are not in `store` as they should be, the record last."""
    written = []
    for name, sha256 in files_of(record).items():
        if _sha256(store, name) == sha256:
            continue
        with scratch.local(name) as path, store.draft(name.rpartition("/")[0]) as draft:
            shutil.copyfile(path, draft.path)
            draft.commit(name)
        written.append(name)
    name, content = record_name(item), record.to_json().encode()
    if read_or_none(store, name) != content:
        store.replace(name, content)
        written.append(name)
    return written


def _sha256(store: Store, name: str) -> str:
    """Hex SHA-256 of a file; empty when there is none."""
    try:
        with store.local(name) as path, path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def read_or_none(store: Store, name: str) -> bytes | None:
    """Content of a small file; None when there is none."""
    try:
        return store.read(name)
    except FileNotFoundError:
        return None
