"""`blankstream inspect`: one row of a data set, read, verified and restored for a person.

Stands between a finished data set and `inspect_terminal.py` or `inspect_page.py`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.pages.page_assets import PAGE_OPENING
from jobs.sample_view import Origin, RowView, view_sample
from jobs.visible import visible
from pipeline.care.kept_plans import find_plan
from pipeline.dataset import Dataset, open_dataset
from pipeline.document_table import read_documents_table
from pipeline.objectives import OBJECTIVES, rules_of
from pipeline.packing import decode_row
from pipeline.stores.local import LocalStore
from pipeline.tokens import open_tokenizer
from pipeline.vocabularies.tokenizer import Tokenizer
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import CorruptDataError, DatasetError, UserError
from schemas.manifest import ShardEntry
from schemas.names import TOKENIZER_FOLDER, plan_name, record_name_of
from schemas.record import ItemRecord
from schemas.sealed import read_sealed
from schemas.storage import commit_text


def read_row(path: Path, split: str, row: int) -> RowView:
    """Row number `row` of `split`, verified.

    Raises `UserError` when there is no such row, `DatasetError` when plan, tokenizer and manifest
    do not belong together, `CorruptDataError` for damage.
    """
    dataset = open_dataset(path)
    num_rows = dataset.num_rows(split)
    if not 0 <= row < num_rows:
        raise UserError(
            f"{path}: row {row} of {split} does not exist; it has {num_rows} rows, counted from 0"
        )
    config, tokenizer = _read_recipe(dataset)
    reader = dataset.reader(split)
    try:
        samples = decode_row(reader.gather(np.array([row]))[0], dataset.row_format)
        entry, index, origin = reader.origin(row)
    finally:
        reader.close()
    views = []
    origins = _origins(path, entry, origin[:, : len(samples)])
    for sample, place in zip(samples, origins, strict=True):
        name = dataset.row_format.objectives[sample.objective - 1]
        rules = rules_of(config, name, tokenizer.special, tokenizer.vocab_size)
        views.append(view_sample(sample, name, rules, place, tokenizer))
    where = (visible(path.resolve().name), row, split, entry.path, index, entry.pass_number)
    return RowView(*where, dataset.row_format.row_tokens, tuple(views))


def _read_recipe(dataset: Dataset) -> tuple[BuildConfig, Tokenizer]:
    """The recipe's build section and the tokenizer, both those that the manifest names."""
    place = dataset.path / plan_name(dataset.manifest.plan_digest)
    plan = find_plan(LocalStore(dataset.path), dataset.manifest.plan_digest)
    if plan is None:
        raise CorruptDataError(
            f"{place}: no copy of the plan that the manifest names can be read; run `blankstream "
            "repair` on the data set, or restore this file from a copy"
        )
    tokenizer = open_tokenizer(dataset.path / TOKENIZER_FOLDER)
    for name, found, expected in (
        ("recipe", plan.recipe_digest, dataset.manifest.recipe_digest),
        ("tokenizer", tokenizer.digest, dataset.tokenizer_hash),
    ):
        if found != expected:
            raise DatasetError(
                f"{dataset.path}: the {name} has the digest {found}, the manifest names "
                f"{expected}; run `blankstream repair` on the data set"
            )
    config = parse_config(BuildConfig, plan.recipe["build"], str(place))
    for name, objective in config.objective.items():
        if objective.kind not in OBJECTIVES:
            raise DatasetError(
                f"{place}: objective '{name}' is of the unknown kind '{objective.kind}'; "
                "use the release that built the data set"
            )
    return config, tokenizer


def _origins(path: Path, entry: ShardEntry, origin: NDArray[np.uint32]) -> list[Origin]:
    """The origins that `origin` (4, samples) leads to."""
    place = path / record_name_of(entry.pass_number, entry.slice, entry.item)
    record = ItemRecord.from_json(read_sealed(place), str(place))
    documents = read_documents_table(LocalStore(path), record.documents)
    found = []
    for document, window, start, stop in origin.T.tolist():
        known = documents.slice(document, 1).to_pylist()[0]
        source = (visible(known["id"]), visible(known["source"]), known["start"], known["stop"])
        found.append(Origin(*source, window, start, stop))
    return found


def check_page_place(path: Path, dataset: Path) -> None:
    """Raise `UserError` unless a page may be written at `path`: a new file, or an older page.

    Nothing else is ever replaced, and nothing is written into the data set.
    """
    try:
        reason = _why_no_page(path.resolve(), dataset.resolve())
    except (OSError, ValueError) as error:
        reason = f"cannot be written ({getattr(error, 'strerror', None) or error})"
    if reason:
        raise UserError(f"{visible(str(path))}: {reason}; give another --html FILE")


def _why_no_page(path: Path, dataset: Path) -> str:
    """Empty where a page may be written."""
    if path.is_dir():
        return "is a folder"
    if path.is_relative_to(dataset):
        return "is inside the data set, which keeps only its own files"
    if not path.parent.is_dir():
        return f"{path.parent} is no folder"
    if path.exists() and not _is_page(path):
        return "exists and is no page of this command"
    return ""


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(PAGE_OPENING)) == PAGE_OPENING.encode()


def write_page(path: Path, page: str) -> None:
    """Write `page` whole or not at all; `UserError` where the system refuses."""
    try:
        commit_text(path.resolve(), page)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); give another --html FILE"
        ) from error
