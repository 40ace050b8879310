"""Records held against everything else that is known of their items.

Used by the checks of finished data sets and by their repair. A build asks less of a record
(`records.py`): there a damaged one is simply built again.
"""

from collections.abc import Iterator

import pyarrow as pa

from schemas.errors import DatasetError
from schemas.manifest import SPLITS, ShardEntry
from schemas.plan import WorkItem
from schemas.record import ItemRecord, ShardFile
from schemas.written import as_written

_SHARD_KEYS = ("path", "split", "rows", "rows_xxh3", "hashes")
_REMEDY = "run `blankstream repair` on the data set"


def read_item_record(content: bytes, item: WorkItem, name: str) -> ItemRecord:
    """The record of `item` from the bytes of its file.

    `DatasetError` beginning with `name` unless it is that, byte for byte as it was written.
    """
    record = as_written(content, name, ItemRecord.from_json, _REMEDY)
    expected = (item.id, item.slice.number, item.pass_number)
    found = (record.item, record.slice, record.pass_number)
    if found != expected:
        raise DatasetError(
            f"{name}: expected item, slice, pass {expected}, found {found}; {_REMEDY}"
        )
    return record


def shard_of(entry: ShardEntry) -> ShardFile:
    """What the shard table says of a shard, as a record says it."""
    return ShardFile(**{key: getattr(entry, key) for key in _SHARD_KEYS})


def agrees(record: ItemRecord, item: WorkItem, entries: tuple[ShardEntry, ...]) -> bool:
    """Whether the shard table lists what the record does, at the place of `item`."""
    own = (item.generation, item.pass_number, item.slice.number)
    places = {(one.generation, one.pass_number, one.slice) for one in entries}
    return places <= {own} and record.shards == tuple(map(shard_of, entries))


def sums_of(
    record: ItemRecord, documents: pa.Table | None, bad: int | None
) -> Iterator[tuple[str, int, int]]:
    """(what, counted, found): counts of a record beside what its files hold.

    `bad` is the number of lines in the quarantine, which the first pass writes; None for what is
    not known.
    """
    counts = record.counts
    for split in SPLITS:
        rows = sum(shard.rows for shard in record.shards if shard.split == split)
        yield f"rows of {split}", counts.get(f"{split}.rows", 0), rows
        if documents is not None:
            found = documents.column("split").to_pylist().count(split)
            yield f"documents of {split}", counts.get(f"{split}.documents", 0), found
    if bad is not None and record.pass_number == 0:
        counted = sum(count for name, count in counts.items() if name.startswith("bad."))
        yield "lines of bad input", counted, bad
