"""survey -> shard table and manifest: a data set becomes readable, or says why it cannot be.

Last step of a build. It uses only what the items recorded, so that it gives the same bytes whoever
built them. The commit point is the manifest of the version, made once; `manifest.json`, what
readers open, is its copy and written last.
"""

import json
from collections.abc import Iterator

from pipeline.document_table import duplicate_error, read_documents_table
from pipeline.laws.gate import check_laws, manifest_statistics
from pipeline.plan_tables import PlanReader
from pipeline.readers.reads import bad_ratio_error
from pipeline.records import read_record
from pipeline.stores.store import Store
from pipeline.survey import Survey
from pipeline.table import write_table
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import DatasetError
from schemas.manifest import TRAIN, Manifest, StoredFile
from schemas.names import MANIFEST_NAME, PLAN_NAME, manifest_name, table_name
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


def commit_manifest(store: Store, plan: Plan, manifest: Manifest) -> None:
    """Make `manifest` the data set's, unless another build has made this version of it before.

    Raises `DatasetError` in that case; then nothing has changed.
    """
    name, content = manifest_name(manifest.version), manifest.to_json().encode()
    if not store.create(name, content) and store.read(name) != content:
        found = read_manifest(store, name)
        if found is not None and found.plan_digest != plan.digest:
            raise DatasetError(
                f"{store.where(name)}: another build has grown this data set in the meantime; what "
                "was built stays: run the same command again to add to what is there"
            )
        store.replace(name, content)
    store.replace(PLAN_NAME, plan.to_json().encode())
    store.replace(MANIFEST_NAME, content)


def read_manifest(store: Store, name: str = MANIFEST_NAME) -> Manifest | None:
    """The manifest under `name`; None when there is none, or when it is damaged."""
    try:
        return Manifest.from_json(store.read(name).decode("utf-8", "replace"), store.where(name))
    except (FileNotFoundError, DatasetError):
        return None


def last_manifest(store: Store) -> Manifest | None:
    """The manifest of the last version that was committed; None before the first.

    A build that was ended between its commit and its last file counts as committed.
    """
    names = sorted(store.files(manifest_name(0).rpartition("/")[0]), reverse=True)
    found = (read_manifest(store, name) for name in names)
    return next((manifest for manifest in found if manifest), read_manifest(store))


def _check_bad_ratio(survey: Survey, limit: float) -> None:
    num_bad = sum(count for name, count in survey.counts.items() if name.startswith("bad."))
    total = num_bad + survey.counts["documents"]
    if num_bad > limit * total:
        raise bad_ratio_error(num_bad, total, limit, survey.bad_cases)


def _identical(survey: Survey) -> dict[str, int]:
    """Documents whose prompt and text are those of an earlier one; they are kept, and counted."""
    return {"documents.identical": survey.texts.num_repeats()}


def _check_ids(store: Store, reader: PlanReader, survey: Survey) -> None:
    """Find an id that two items share, by 64-bit hashes first, so that memory stays small."""
    repeated = set(survey.ids.repeated().tolist())
    if not repeated:
        return
    places: dict[str, str] = {}
    for item, name in _documents_of(store, reader, repeated):
        place = f"work item {item.slice.number} ({item.slice.ranges[0].path})"
        if places.setdefault(name, place) != place:
            raise duplicate_error(name, places[name], place)


def _documents_of(
    store: Store, reader: PlanReader, hashes: set[int]
) -> Iterator[tuple[WorkItem, str]]:
    """Item and id of every document of the first pass whose id has one of `hashes`."""
    for item in reader.items():
        record = read_record(store, item) if item.pass_number == 0 else None
        if record is None:
            continue
        table = read_documents_table(store, record.documents)
        pairs = zip(
            table.column("id").to_pylist(), table.column("id_xxh3").to_pylist(), strict=True
        )
        yield from ((item, name) for name, xxh3 in pairs if xxh3 in hashes)
