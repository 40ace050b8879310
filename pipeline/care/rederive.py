"""A work item built once more from its sources, beside the data set that holds it.

Used by the deep check, which compares the two, and by the repair, which puts back what is damaged.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.build import BuildContext, build_record
from pipeline.care.damage import Damage, DamageList
from pipeline.inputs import check_range
from pipeline.records import read_record
from pipeline.stopwatch import Stopwatch
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from schemas.config import differing_keys
from schemas.names import record_name
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemRecord

_SHOWN = 3
_OTHER_BYTES = (
    "compare its sources and the library versions with those of the build; `blankstream repair` "
    "puts back only what is built as recorded"
)


@contextmanager
def rebuilt(
    context: BuildContext, item: WorkItem, excluded: tuple[Exclusion, ...]
) -> Iterator[tuple[LocalStore, ItemRecord]]:
    """The files of `item`, in a temporary folder that goes with the context, and its record.

    `InputError` when the sources are not what was planned.
    """
    for source in item.slice.ranges:
        check_range(context.sources[source.path], source)
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        store = LocalStore(Path(name))
        record, _ = build_record(context, item, store, Stopwatch("check"), excluded)
        yield store, record


def rederive_item(context: BuildContext, item: WorkItem) -> list[Damage]:
    """Build `item` once more and compare: names and SHA-256 of all files, counts and statistics.

    That the files have the hashes of the record is not looked at here (`item_check.py`). Nothing is
    found for an item whose record is damaged. `InputError` as `rebuilt`.
    """
    store = open_store(context.dataset)
    record = read_record(store, item)
    damage = DamageList(store)
    if record is not None:
        with rebuilt(context, item, record.excluded) as (_, again):
            if again != record:
                what = f"its sources give another item: {difference(again, record)}"
                damage.add(record_name(item), what, _OTHER_BYTES)
    return damage.found


def difference(expected: ItemRecord, found: ItemRecord) -> str:
    """Names of files, or else the counts, in which two records of one item differ."""
    theirs, ours = files_of(expected), files_of(found)
    if theirs != ours:
        return f"expected {_some(theirs, ours)}, found {_some(ours, theirs)}"
    keys = differing_keys(found.counts, expected.counts, "counts")
    return f"expected -> found: {'; '.join(keys[:_SHOWN]) or 'other statistics'}"


def files_of(record: ItemRecord) -> dict[str, str]:
    """SHA-256 by name of every file of an item but its record."""
    stored = [shard.stored for shard in record.shards]
    stored += [one for one in (record.documents, record.quarantine) if one]
    return {one.path: one.hashes.sha256 for one in stored}


def _some(files: dict[str, str], without: dict[str, str]) -> str:
    """The first few of `files` that are not in `without`, with their hashes."""
    names = [name for name, sha256 in files.items() if without.get(name) != sha256]
    shown = ", ".join(f"{name} (SHA-256 {files[name]})" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{shown}{more}" if names else "no other file"
