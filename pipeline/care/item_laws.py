"""The laws of a whole work item: its documents, and every sample of its rows.

What a deep check asks beside the hashes; stands between `item_check.py` and `sample_laws.py`.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.document_table import id_hash
from pipeline.documents import is_heldout
from pipeline.randomness import document_key
from pipeline.sample_checks.sample_laws import SampleLaws
from pipeline.tools import Tools
from schemas.manifest import HELDOUT
from schemas.plan import WorkItem
from schemas.samples import RowArrays

_SHOWN = 3
"""Samples told of one record batch; the others are counted."""


class ItemLaws:
    """The laws of `item`, whose documents are the table `documents`."""

    def __init__(self, tools: Tools, item: WorkItem, documents: pa.Table) -> None:
        self._laws, self._config = SampleLaws.of(tools), tools.config
        self._documents = documents
        self._ids: list[str] = documents.column("id").to_pylist()
        keys = (document_key(tools.config.seed, item.pass_number, name) for name in self._ids)
        self._keys = np.fromiter(keys, np.uint64, len(self._ids))
        self._is_heldout = np.array(documents.column("split")) == HELDOUT

    def check_documents(self) -> Iterator[str]:
        """Documents whose hash or split is not what follows from their ids."""
        hashes = np.fromiter(map(id_hash, self._ids), np.uint64, len(self._ids))
        ratio = self._config.heldout_ratio
        heldout = np.fromiter((is_heldout(name, ratio) for name in self._ids), bool)
        wrong_hash = hashes != self._documents.column("id_xxh3").to_numpy()
        wrong_split = heldout != self._is_heldout
        for what, wrong in (("hash of the id", wrong_hash), ("split", wrong_split)):
            for index in np.flatnonzero(wrong)[:_SHOWN].tolist():
                yield f"document {index} ({self._ids[index]}): not the {what} that follows from it"

    def check_rows(self, arrays: RowArrays, split: str, first: int) -> tuple[int, list[str]]:
        """Samples of one batch of rows, and what is wrong; rows count from `first`."""
        checked = self._laws.check(arrays, self._keys)
        problems = list(self._strays(arrays, split, first))
        problems += [
            str(one._replace(row=first + one.row)) for one in islice(checked.problems, _SHOWN)
        ]
        if len(checked.problems) > _SHOWN:
            problems.append(f"{len(checked.problems) - _SHOWN} more of these rows break a law")
        return sum(checked.samples.values()), problems

    def _strays(self, arrays: RowArrays, split: str, first: int) -> Iterator[str]:
        """Rows with samples of documents of the other split."""
        lengths = arrays.rows[:, self._laws.row_format.slices["lengths"]]
        documents: NDArray[np.int64] = arrays.origin[0].astype(np.int64)
        is_known = (lengths > 0) & (documents < len(self._ids))
        of_heldout = np.append(self._is_heldout, False)[np.where(is_known, documents, -1)]
        wrong = is_known & (of_heldout != (split == HELDOUT))
        for row in np.flatnonzero(wrong.any(axis=1))[:_SHOWN].tolist():
            yield f"row {first + row}: a sample of a document that is not of split {split}"
