"""Row of a data set -> what a person looks at, verified and restored, with where it came from.

Stands between a finished data set and `inspect.py`, which shows one row, and `trace.py`, which
shows those behind one training step.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.sample_view import Origin, RowView, view_sample
from jobs.visible import visible
from pipeline.care.kept_plans import find_plan
from pipeline.dataset import Dataset
from pipeline.document_table import read_documents_table
from pipeline.objectives import OBJECTIVES, rules_of
from pipeline.packing import decode_row
from pipeline.stores.choice import local_folder
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from pipeline.tokens import open_tokenizer
from pipeline.vocabularies.tokenizer import Tokenizer
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import ShardEntry
from schemas.names import TOKENIZER_FOLDER, plan_name, record_name_of
from schemas.record import ItemRecord


class RowViews:
    """Views of the rows of one split; keeps the documents of the last item it looked at.

    Raises `DatasetError` when plan, tokenizer and manifest do not belong together,
    `CorruptDataError` for damage. A context manager.
    """

    def __init__(self, dataset: Dataset, split: str) -> None:
        self._dataset, self._split = dataset, split
        self._store = dataset.store
        self._config, self._tokenizer = _read_recipe(dataset)
        self._reader = dataset.reader(split)
        self._documents: tuple[str, pa.Table] = ("", pa.table({}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reader.close()

    def view(self, row: int) -> RowView:
        """Row number `row`, in [0, rows of the split)."""
        return self.view_of(self._reader.gather(np.array([row]))[0], row)

    def view_of(self, numbers: NDArray[Any], row: int) -> RowView:
        """As `view`, where the row's `numbers` (width,) were read before."""
        row_format = self._dataset.row_format
        samples = decode_row(numbers, row_format)
        entry, index, origin = self._reader.origin(row)
        views = []
        for sample, place in zip(samples, origin.T.tolist(), strict=False):
            name = row_format.objectives[sample.objective - 1]
            special, size = self._tokenizer.special, self._tokenizer.vocab_size
            rules = rules_of(self._config, name, special, size)
            views.append(
                view_sample(sample, name, rules, self._origin(entry, place), self._tokenizer)
            )
        folder = visible(_folder_name(self._store))
        where = (folder, row, self._split, entry.path, index, entry.pass_number)
        return RowView(*where, row_format.row_tokens, tuple(views))

    def _origin(self, entry: ShardEntry, place: list[int]) -> Origin:
        document, window, start, stop = place
        known = self._documents_of(entry).slice(document, 1).to_pylist()[0]
        source = (visible(known["id"]), visible(known["source"]), known["start"], known["stop"])
        return Origin(*source, window, start, stop, visible(known["language"]))

    def _documents_of(self, entry: ShardEntry) -> pa.Table:
        name = record_name_of(entry.pass_number, entry.slice, entry.item)
        if self._documents[0] != name:
            record = ItemRecord.from_json(_read_text(self._store, name), self._store.where(name))
            self._documents = name, read_documents_table(self._store, record.documents)
        return self._documents[1]


def _folder_name(store: Store) -> str:
    path = store.folder.resolve() if isinstance(store, LocalStore) else Path(store.place)
    return path.name


def _read_text(store: Store, name: str) -> str:
    try:
        return store.read(name).decode("utf-8", "replace")
    except OSError as error:
        raise DatasetError(
            f"{store.where(name)}: cannot be read ({error.strerror or error})"
        ) from error


def _read_recipe(dataset: Dataset) -> tuple[BuildConfig, Tokenizer]:
    """The recipe's build section and the tokenizer, both those that the manifest names."""
    store = dataset.store
    place = store.where(plan_name(dataset.manifest.plan_digest))
    plan = find_plan(store, dataset.manifest.plan_digest)
    if plan is None:
        raise CorruptDataError(
            f"{place}: no copy of the plan that the manifest names can be read; run `blankstream "
            "repair` on the data set, or restore this file from a copy"
        )
    with local_folder(store, TOKENIZER_FOLDER) as folder:
        tokenizer = open_tokenizer(folder)
    for name, found, expected in (
        ("recipe", plan.recipe_digest, dataset.manifest.recipe_digest),
        ("tokenizer", tokenizer.digest, dataset.tokenizer_hash),
    ):
        if found != expected:
            raise DatasetError(
                f"{dataset.name}: the {name} has the digest {found}, the manifest names "
                f"{expected}; run `blankstream repair` on the data set"
            )
    config = parse_config(BuildConfig, plan.recipe["build"], place)
    for name, objective in config.objective.items():
        if objective.kind not in OBJECTIVES:
            raise DatasetError(
                f"{place}: objective '{name}' is of the unknown kind '{objective.kind}'; "
                "use the release that built the data set"
            )
    return config, tokenizer
