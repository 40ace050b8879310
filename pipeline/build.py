"""One work item, from documents to shards and the record: what executors run.

`build_work_item` is a pure function of (recipe, item) apart from where it writes: any process, any
number of times, in any order, gives the same bytes. The record is written last.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from pipeline.document_table import DocumentEntry, DocumentWriter, duplicate_error
from pipeline.documents import is_heldout, read_documents
from pipeline.inputs import check_range
from pipeline.quarantine import Quarantine
from pipeline.readers.reads import BadInput, Document, Read, Tally, bad_ratio_error
from pipeline.split_builder import SplitBuilder
from pipeline.text import TokenBatch, tokenize_documents
from pipeline.tools import Tools, load_tools
from schemas.manifest import HELDOUT, SPLITS, TRAIN
from schemas.plan import WorkItem
from schemas.record import ItemRecord, documents_path, record_path
from schemas.storage import commit_text

_MIN_DOCUMENTS_TO_STOP, _STOP_RATIO = 100, 0.5


@dataclass(frozen=True)
class BuildContext:
    """Where an item is built: the data set's folder, the inputs by name, and the recipe."""

    dataset: Path
    sources: dict[str, str | Path]
    recipe: dict[str, Any]


def build_work_item(context: BuildContext, item: WorkItem) -> ItemRecord:
    """Write the shards, documents, quarantine and record of `item`; returns the record.

    Raises `InputError` when an input differs from what was planned, when an id occurs twice, or
    when most of an item is unusable; then no record exists and the item counts as not built.
    """
    tools = load_tools(context.dataset, json.dumps(context.recipe, sort_keys=True))
    for source in item.slice.ranges:
        check_range(context.sources[source.path], source)
    with ExitStack() as stack:
        builder = _ItemBuilder(context, item, tools, stack)
        documents = builder.usable_documents()
        for batch in tokenize_documents(documents, tools.splitter, tools.tokenizer):
            builder.add(batch)
        return builder.commit()


class _ItemBuilder:
    """State of one item while it is built: its splits, counts, documents, what was unusable."""

    def __init__(
        self, context: BuildContext, item: WorkItem, tools: Tools, stack: ExitStack
    ) -> None:
        self._context, self._item, self._config = context, item, tools.config
        self._unknown = tools.tokenizer.unknown
        self._counts: Counter[str] = Counter()
        self._ids = array("Q")
        self._quarantine = stack.enter_context(Quarantine(context.dataset, item))
        path = documents_path(context.dataset, item.name)
        self._documents = stack.enter_context(DocumentWriter(path))
        self._splits = {
            split: SplitBuilder(context.dataset, (item, split), tools, self._counts, stack)
            for split in SPLITS
        }

    def usable_documents(self) -> Iterator[Document]:
        """Documents with text, in order; the others are counted, bad input is kept aside."""
        for read in self._read(self._counts):
            if isinstance(read, BadInput):
                self._quarantine.add(read)
                self._counts[f"bad.{read.reason}"] += 1
                continue
            self._counts["documents"] += 1
            self._ids.append(_id_hash(read))
            if not read.text.strip():
                self._counts["documents.dropped.empty_text"] += 1
            elif self._item.pass_number == 0 or self._split_of(read) == TRAIN:
                yield read

    def add(self, batch: TokenBatch) -> None:
        """Cut, corrupt and pack the documents of one batch."""
        unknown = -1 if self._unknown is None else self._unknown
        self._counts["documents.tokens"] += len(batch.tokens)
        self._counts["documents.tokens.unknown"] += int((batch.tokens == unknown).sum())
        text_tokens = np.diff(batch.edges) - batch.prompts
        chosen: dict[str, list[int]] = {split: [] for split in SPLITS}
        for index, document in enumerate(batch.documents):
            if text_tokens[index]:
                chosen[self._split_of(document)].append(index)
            else:
                self._counts["documents.dropped.no_tokens"] += 1
        for split, indices in chosen.items():
            first = self._documents.count
            for index in indices:
                self._documents.add(DocumentEntry.of(batch.documents[index], split))
            self._splits[split].add(batch, indices, range(first, self._documents.count))

    def commit(self) -> ItemRecord:
        """Finish the shards, then write documents, quarantine and, last, the record."""
        self._stop_if_mostly_bad()
        self._refuse_repeated_ids()
        for split, builder in self._splits.items():
            self._counts[f"{split}.rows"] = builder.finish()
        record = ItemRecord(
            item=self._item.id,
            slice=self._item.slice.number,
            pass_number=self._item.pass_number,
            shards=tuple(shard for builder in self._splits.values() for shard in builder.shards),
            documents=self._documents.finish(),
            counts=dict(sorted(self._counts.items())),
            statistics={split: one.statistics for split, one in self._splits.items()},
        )
        self._quarantine.finish()
        commit_text(record_path(self._context.dataset, self._item.name), record.to_json())
        return record

    def _read(self, tally: Tally | None = None) -> Iterator[Read]:
        for source in self._item.slice.ranges:
            file = self._context.sources[source.path]
            yield from read_documents(file, source, self._config, tally)

    def _split_of(self, document: Document) -> str:
        return HELDOUT if is_heldout(document.id, self._config.heldout_ratio) else TRAIN

    def _refuse_repeated_ids(self) -> None:
        """Raise for an id that occurs twice; only then is the input read again, to name it."""
        values, number = np.unique(np.frombuffer(self._ids, np.uint64), return_counts=True)
        repeated = set(values[number > 1].tolist())
        if not repeated:
            return
        seen: dict[str, str] = {}
        for read in self._read():
            if isinstance(read, BadInput) or _id_hash(read) not in repeated:
                continue
            place = f"{read.path}#{read.start}"
            if seen.setdefault(read.id, place) is not place:
                raise duplicate_error(read.id, seen[read.id], place)

    def _stop_if_mostly_bad(self) -> None:
        bad = self._quarantine.count
        total = self._counts["documents"] + bad
        limit = self._config.max_bad_ratio
        if total >= _MIN_DOCUMENTS_TO_STOP and bad > max(_STOP_RATIO, limit) * total:
            raise bad_ratio_error(bad, total, limit, self._quarantine.first)


def _id_hash(document: Document) -> int:
    return xxhash.xxh3_64_intdigest(document.id.encode())
