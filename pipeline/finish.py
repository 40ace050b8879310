"""records -> shard table and manifest: a data set becomes readable, or says why it cannot be.

Last step of a build. It reads only what the items recorded, so that it gives the same bytes
whoever built the items, and it writes the manifest last.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import xxhash

from pipeline.document_table import duplicate_error, read_documents_table
from pipeline.laws.gate import check_laws, manifest_statistics, sum_statistics
from pipeline.quarantine import first_cases
from pipeline.readers.reads import bad_ratio_error
from pipeline.table import write_table
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import DatasetError
from schemas.manifest import MANIFEST_NAME, SPLITS, TABLE_NAME, TRAIN, Manifest, ShardEntry
from schemas.plan import Plan, WorkItem
from schemas.record import ItemRecord, documents_path, record_path
from schemas.samples import row_format_of
from schemas.sealed import read_sealed
from schemas.storage import commit_text

Built = tuple[WorkItem, ItemRecord]


def read_record(dataset: Path, item: WorkItem) -> ItemRecord | None:
    """The record of `item`, or None while it is not built or one of its files is missing.

    Raises `DatasetError` for a damaged record and for that of another item under this name.
    """
    path = record_path(dataset, item.name)
    if not path.exists():
        return None
    record = ItemRecord.from_json(read_sealed(path), str(path))
    if record.item != item.id:
        raise DatasetError(
            f"{path}: belongs to work item {record.item[:12]}, planned is {item.id[:12]}; the "
            "folder was used for another plan: build into another folder"
        )
    return record if all(_present(dataset, item, record)) else None


def _present(dataset: Path, item: WorkItem, record: ItemRecord) -> Iterator[bool]:
    files = [(dataset / shard.path, shard.hashes.bytes) for shard in record.shards]
    files.append((documents_path(dataset, item.name), record.documents.bytes))
    for file, size in files:
        yield file.is_file() and file.stat().st_size == size


def finish_dataset(dataset: Path, plan: Plan, max_bad_ratio: float) -> Manifest:
    """Check the records of all items as a whole and write table and manifest.

    Raises `InputError` for an id in two documents or too much unusable input, `DatasetError` when
    an item is not built, an objective does not follow its law or nothing was left to train on.
    """
    built = list(_built(dataset, plan))
    config = parse_config(BuildConfig, plan.recipe["build"], "recipe")
    counts = _sum_counts(built)
    _check_bad_ratio(dataset, counts, max_bad_ratio)
    _check_ids(dataset, built)
    counts["documents.identical"] = _count_identical(dataset, built)
    entries = list(_entries(built))
    rows = {split: sum(e.rows for e in entries if e.split == split) for split in SPLITS}
    if not rows[TRAIN]:
        raise DatasetError(
            f"{dataset}: no training rows; documents read and dropped: {json.dumps(counts)}; "
            "give more text, or lower build.heldout_ratio"
        )
    statistics = sum_statistics([record for _, record in built])
    check_laws(dataset, statistics, config)
    table, blocks = write_table(dataset / TABLE_NAME, entries)
    manifest = Manifest(
        recipe_digest=plan.recipe_digest,
        plan_digest=plan.digest,
        rows=rows,
        row_format=row_format_of(plan.recipe),
        tokenizer=plan.recipe["tokenizer"],
        table=table,
        table_blocks=tuple(blocks),
        counts=counts,
        statistics=manifest_statistics(counts, statistics, config, rows),
    )
    commit_text(dataset / MANIFEST_NAME, manifest.to_json())
    return manifest


def _built(dataset: Path, plan: Plan) -> Iterator[Built]:
    for item in plan.items():
        record = read_record(dataset, item)
        if record is None:
            raise DatasetError(f"{dataset}: item {item.name} is not built; run the build again")
        yield item, record


def _sum_counts(built: Sequence[Built]) -> dict[str, int]:
    """Counts over all items; documents and bad input are counted in pass 0, where all are read."""
    total: Counter[str] = Counter()
    for item, record in built:
        for name, count in record.counts.items():
            once = name.startswith(("documents", "bad."))
            total[name] += 0 if once and item.pass_number else count
    return dict(sorted(total.items()))


def _entries(built: Sequence[Built]) -> Iterator[ShardEntry]:
    for split in SPLITS:
        first_row = 0
        for item, record in built:
            for shard in record.shards:
                if shard.split != split:
                    continue
                yield ShardEntry(
                    path=shard.path,
                    split=split,
                    generation=item.generation,
                    pass_number=item.pass_number,
                    slice=item.slice.number,
                    rows=shard.rows,
                    first_row=first_row,
                    hashes=shard.hashes,
                )
                first_row += shard.rows


def _check_bad_ratio(dataset: Path, counts: dict[str, int], limit: float) -> None:
    num_bad = sum(count for name, count in counts.items() if name.startswith("bad."))
    total = num_bad + counts.get("documents", 0)
    if num_bad > limit * total:
        raise bad_ratio_error(num_bad, total, limit, first_cases(dataset))


def _check_ids(dataset: Path, built: Sequence[Built]) -> None:
    """Find an id that two items share, by 64-bit hashes first, so that memory stays small."""
    first_pass = [(item, record) for item, record in built if item.pass_number == 0]
    hashes = [
        np.fromiter((xxhash.xxh3_64_intdigest(name.encode()) for name in ids), np.uint64)
        for ids in (_document_ids(dataset, item, record) for item, record in first_pass)
    ]
    values, number = np.unique(np.concatenate(hashes), return_counts=True)
    repeated = set(values[number > 1].tolist())
    if not repeated:
        return
    places: dict[str, str] = {}
    for item, record in first_pass:
        for name in _document_ids(dataset, item, record):
            if xxhash.xxh3_64_intdigest(name.encode()) in repeated:
                place = f"work item {item.slice.number} ({item.slice.ranges[0].path})"
                if places.setdefault(name, place) != place:
                    raise duplicate_error(name, places[name], place)


def _document_ids(dataset: Path, item: WorkItem, record: ItemRecord) -> list[str]:
    path = documents_path(dataset, item.name)
    ids: list[str] = read_documents_table(path, record.documents).column("id").to_pylist()
    return ids


def _count_identical(dataset: Path, built: Sequence[Built]) -> int:
    """Documents whose prompt and text are those of an earlier one; they are kept, and counted."""
    hashes = [
        read_documents_table(documents_path(dataset, item.name), record.documents)
        .column("xxh3")
        .to_numpy()
        for item, record in built
        if item.pass_number == 0
    ]
    every = np.concatenate(hashes)
    return len(every) - len(np.unique(every))
