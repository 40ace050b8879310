"""survey -> shard table and manifest: a data set becomes readable, or says why it cannot be.

Last step of a build. It uses only what the items recorded, so that it gives the same bytes whoever
built them. The commit point is the manifest of the version, made once; `manifest.json`, what
readers open, is its copy and written last.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.document_table import Hashes, duplicate_error, ids_with
from pipeline.laws.gate import check_laws, manifest_statistics
from pipeline.ordered_map import ordered_map
from pipeline.plan_tables import PlanReader
from pipeline.readers.reads import bad_ratio_error
from pipeline.records import read_record
from pipeline.stores.store import Store
from pipeline.survey import Survey, reading_threads
from pipeline.table import write_table
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import DatasetError
from schemas.manifest import TRAIN, Manifest, StoredFile
from schemas.names import MANIFEST_NAME, PLAN_NAME, manifest_name, plan_name, table_name
from schemas.plan import Plan, WorkItem
from schemas.samples import row_format_of


def make_manifest(
    store: Store, reader: PlanReader, survey: Survey, version: int, max_bad_ratio: float
) -> Manifest:
    """Check the data set as a whole, write its table, and describe it as `version`.

    Raises `InputError` for an id in two documents or too much unusable input, `DatasetError` when
    an objective does not follow its law or nothing was left to train on.
    """
    plan = reader.plan
    config = parse_config(BuildConfig, plan.recipe["build"], "recipe")
    _check_bad_ratio(survey, max_bad_ratio)
    _check_ids(store, reader, survey)
    counts = dict(sorted((survey.counts | _identical(survey)).items()))
    if not survey.rows[TRAIN]:
        raise DatasetError(
            f"{store.place}: no training rows; documents read and dropped: {json.dumps(counts)}; "
            "give more text, or lower build.heldout_ratio"
        )
    check_laws(store.place, survey.statistics, config)
    with store.draft("") as draft:
        hashes, blocks = write_table(draft.path, survey.entries())
        table = StoredFile(table_name(hashes.sha256), hashes)
        draft.commit(table.path)
    return Manifest(
        version=version,
        recipe_digest=plan.recipe_digest,
        plan_digest=plan.digest,
        content_digest=survey.content_digest,
        rows=survey.rows,
        row_format=row_format_of(plan.recipe),
        shard_format=config.shard_format,
        tokenizer=plan.recipe["tokenizer"],
        table=table,
        table_blocks=tuple(blocks),
        counts=counts,
        statistics=manifest_statistics(counts, survey.statistics, config, survey.rows),
    )


def claim_version(store: Store, manifest: Manifest) -> Manifest:
    """The commit point: make `manifest` that of its version; the one that stands.

    That is another driver's where it made the version of the same plan before. Raises
    `DatasetError` when the version was made of another plan; then nothing has changed.
    """
    name, content = manifest_name(manifest.version), manifest.to_json().encode()
    if store.create(name, content):
        return manifest
    found = _version(store, name)
    if found is None or found.plan_digest != manifest.plan_digest:
        raise DatasetError(
            f"{store.where(name)}: another build has grown this data set in the meantime; what "
            "was built stays: run the same command again to add to what is there"
        )
    if read_manifest(store, name) is None:  # damaged, and known from its copy
        store.replace(name, found.to_json().encode())
    return found


def publish(store: Store) -> None:
    """Make `plan.json` and `manifest.json` those of the last version, whoever claimed it.

    A plan that was begun on top of it stays. Goes round again while versions are added, so that of
    several drivers the last one to look leaves the last version.
    """
    published = -1
    while (last := last_manifest(store)) and last.version != published:
        plan = Plan.from_json(_text(store, plan_name(last.plan_digest)), store.place)
        if not _extends(store, plan):
            store.replace(PLAN_NAME, plan.to_json().encode())
        content = last.to_json().encode()
        if store.size(MANIFEST_NAME) is None or store.read(MANIFEST_NAME) != content:
            store.replace(MANIFEST_NAME, content)
        published = last.version


def _extends(store: Store, plan: Plan) -> bool:
    """Whether `plan.json` is `plan`, or one that was begun on top of it."""
    try:
        begun = Plan.from_json(_text(store, PLAN_NAME), store.where(PLAN_NAME))
    except (FileNotFoundError, DatasetError):
        return False
    return begun.generations[: len(plan.generations)] == plan.generations


def last_manifest(store: Store) -> Manifest | None:
    """The manifest of the last version that was claimed; None before the first.

    Raises `DatasetError` when it is damaged and `manifest.json` is no copy of it.
    """
    names = store.files(manifest_name(0).rpartition("/")[0])
    name = max(names, key=lambda one: int(Path(one).stem), default=MANIFEST_NAME)
    found = _version(store, name)
    if found is None and (names or store.size(MANIFEST_NAME) is not None):
        raise DatasetError(
            f"{store.where(name)}: damaged; run `blankstream repair` on the data set"
        )
    return found


def _version(store: Store, name: str) -> Manifest | None:
    """The manifest `name`, or `manifest.json` where that is its copy; None if neither can be."""
    found = read_manifest(store, name)
    if found is None:
        copy = read_manifest(store, MANIFEST_NAME)
        found = copy if copy and name in (MANIFEST_NAME, manifest_name(copy.version)) else None
    return found


def read_manifest(store: Store, name: str = MANIFEST_NAME) -> Manifest | None:
    """The manifest under `name`; None when there is none, or when it is damaged."""
    try:
        return Manifest.from_bytes(store.read(name), store.where(name))
    except (FileNotFoundError, DatasetError):
        return None


def _text(store: Store, name: str) -> str:
    return store.read(name).decode("utf-8", "replace")


def _check_bad_ratio(survey: Survey, limit: float) -> None:
    num_bad = sum(count for name, count in survey.counts.items() if name.startswith("bad."))
    total = num_bad + survey.counts["documents"]
    if num_bad > limit * total:
        raise bad_ratio_error(num_bad, total, limit, survey.bad_cases)


def _identical(survey: Survey) -> dict[str, int]:
    """Documents whose prompt and text are those of an earlier one; they are kept, and counted."""
    return {"documents.identical": survey.texts.num_repeats()}


def _check_ids(store: Store, reader: PlanReader, survey: Survey) -> None:
    """Find an id that two items share, by 64-bit hashes first, so that memory stays small.

    Ids are looked for a block of hashes at a time and no further than the first that is found;
    where all of a block's only have the same hash, in the next block.
    """
    for hashes in survey.ids.repeated():
        places: dict[str, str] = {}
        for item, name in _documents_of(store, reader, hashes):
            place = f"work item {item.slice.number} ({item.slice.ranges[0].path})"
            if places.setdefault(name, place) != place:
                raise duplicate_error(name, places[name], place)


def _documents_of(
    store: Store, reader: PlanReader, hashes: Hashes
) -> Iterator[tuple[WorkItem, str]]:
    """Item and id of every document of the first pass whose id has one of `hashes`, in order."""

    def found(item: WorkItem) -> list[tuple[WorkItem, str]]:
        record = read_record(store, item)
        return [(item, id_) for id_ in ids_with(store, record.documents, hashes)] if record else []

    first_pass = (item for item in reader.items() if item.pass_number == 0)
    for pairs in ordered_map(found, first_pass, reading_threads(store)):
        yield from pairs
