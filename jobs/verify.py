"""`blankstream verify`: read shards, documents and tools of a data set and compare their hashes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.arrow_file import VerifiedArrowFile
from pipeline.dataset import open_dataset
from pipeline.document_table import read_documents_table
from pipeline.finish import read_record
from pipeline.mapped_shards import checked_path
from pipeline.table import REBUILD_REMEDY, ShardTable
from pipeline.tools import open_tools
from schemas.errors import CorruptDataError, DatasetError, UserError
from schemas.manifest import PLAN_NAME, SPLITS, TABLE_NAME, ShardEntry
from schemas.plan import Plan
from schemas.record import documents_path, record_path
from schemas.samples import RowFormat
from schemas.sealed import read_sealed


@dataclass(frozen=True)
class Verified:
    """What was read; `problems` has one message per damaged or missing file."""

    shards: int
    rows: int
    bytes: int
    problems: tuple[str, ...]


def verify_dataset(dataset: Path, on_shard: Callable[[int], None]) -> Verified:
    """Check manifest, plan, table, every shard and every item's documents against their hashes.

    `on_shard` is told the bytes of each shard read. Nothing is changed. Raises `DatasetError` when
    the data set has no manifest; damage is reported, not raised.
    """
    opened = open_dataset(dataset)
    problems = list(_plan_problems(dataset, opened.manifest.plan_digest))
    shards = rows = size = 0
    for split in SPLITS:
        try:
            entries = list(ShardTable(dataset / TABLE_NAME, opened.manifest, split))
        except CorruptDataError as error:
            problems.append(str(error))
            continue
        for entry in entries:
            problems += _shard_problems(dataset, entry, opened.row_format)
            shards, rows, size = shards + 1, rows + entry.rows, size + entry.hashes.bytes
            on_shard(entry.hashes.bytes)
    return Verified(shards, rows, size, tuple(problems))


def _shard_problems(dataset: Path, entry: ShardEntry, row_format: RowFormat) -> list[str]:
    try:
        path = checked_path(dataset, entry.path)
        file = VerifiedArrowFile(path, entry.hashes, REBUILD_REMEDY)
        found = sum(file.batch(number).num_rows for number in range(file.num_batches))
        same_schema = file.batch(0).schema.equals(row_format.arrow_schema(), check_metadata=True)
        file.close()
    except (CorruptDataError, DatasetError) as error:
        return [str(error)]
    problems = []
    if found != entry.rows:
        problems.append(f"{dataset / entry.path}: {found} rows, the table says {entry.rows}")
    if not same_schema:
        problems.append(f"{dataset / entry.path}: its schema is not the manifest's row format")
    return problems


def _tool_problems(dataset: Path, plan: Plan) -> Iterator[str]:
    try:
        open_tools(dataset, plan.recipe)
    except UserError as error:
        yield f"{dataset}: {error}"


def _plan_problems(dataset: Path, expected: str) -> list[str]:
    """Problems of the plan and of the records and documents it leads to."""
    path = dataset / PLAN_NAME
    try:
        plan = Plan.from_json(read_sealed(path), str(path))
    except DatasetError as error:
        return [str(error)]
    if plan.digest != expected:
        return [
            f"{path}: not the plan of the manifest (digest {plan.digest[:12]}, expected "
            f"{expected[:12]}): a build that grows it has not finished, run it again"
        ]
    problems = list(_tool_problems(dataset, plan))
    for item in plan.items():
        path = record_path(dataset, item.name)
        try:
            record = read_record(dataset, item)
            if record is None:
                problems.append(f"{path}: it or a file it names is missing; {REBUILD_REMEDY}")
                continue
            read_documents_table(documents_path(dataset, item.name), record.documents)
        except (CorruptDataError, DatasetError) as error:
            problems.append(str(error))
    return problems
