"""One work item, from documents to shards and the record: what executors run.

`build_work_item` is a pure function of (recipe, item) apart from where it writes: any process, any
number of times, in any order, gives the same bytes. The record is written last.
"""

import itertools
import json
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.document_table import DocumentWriter, duplicate_error, id_hash
from pipeline.documents import is_heldout, read_documents
from pipeline.inputs import check_range
from pipeline.quarantine import Quarantine
from pipeline.readers.reads import (
    EXCERPT_CHARACTERS,
    BadInput,
    Document,
    Read,
    Tally,
    bad_ratio_error,
)
from pipeline.records import commit_record, read_record
from pipeline.split_builder import SplitBuilder
from pipeline.stopwatch import Stopwatch
from pipeline.stores.choice import open_store
from pipeline.stores.store import Store
from pipeline.text import TokenBatch, tokenize_documents
from pipeline.tools import Tools, load_tools
from schemas.manifest import HELDOUT, SPLITS, TRAIN
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemRecord, ItemResult

_MIN_DOCUMENTS_TO_STOP, _STOP_RATIO = 100, 0.5


@dataclass(frozen=True)
class BuildContext:
    """Where an item is built: the data set (path or URL), the inputs by name, and the recipe.

    `max_bad_ratio` is `build.max_bad_ratio`, which is no part of the recipe.
    """

    dataset: str
    sources: dict[str, str | Path]
    recipe: dict[str, Any]
    max_bad_ratio: float = 1.0

    def tools(self) -> Tools:
        """What the recipe names, loaded once per process."""
        return load_tools(self.dataset, json.dumps(self.recipe, sort_keys=True))

    def read(self, item: WorkItem, tools: Tools, tally: Tally | None = None) -> Iterator[Read]:
        """Every document and bad input of `item`, in order."""
        for source in item.slice.ranges:
            yield from read_documents(self.sources[source.path], source, tools.config, tally)


def build_work_item(
    context: BuildContext, item: WorkItem, excluded: tuple[Exclusion, ...] = ()
) -> ItemResult:
    """Write the shards, documents, quarantine and record of `item`; returns what the driver counts.

    The documents `excluded`, and those of an older record, are not touched and go into the
    quarantine. Raises `InputError` when an input differs from what was planned, when an id occurs
    twice, or when most of an item is unusable; then no record exists and the item is not built.
    """
    watch = Stopwatch("check")
    store = open_store(context.dataset)
    before = read_record(store, item)
    excluded = tuple(dict.fromkeys((*(before.excluded if before else ()), *excluded)))
    for source in item.slice.ranges:
        check_range(context.sources[source.path], source)
    record, text_bytes = build_record(context, item, store, watch, excluded)
    record = commit_record(store, item, record)
    return ItemResult(
        name=item.name,
        rows=sum(shard.rows for shard in record.shards),
        documents=record.counts.get("documents", 0),
        source_bytes=item.slice.bytes,
        text_bytes=text_bytes,
        bad=sum(count for name, count in record.counts.items() if name.startswith("bad.")),
        seconds=watch.total(),
    )


def build_record(
    context: BuildContext,
    item: WorkItem,
    store: Store,
    watch: Stopwatch,
    excluded: tuple[Exclusion, ...] = (),
    numbers: range | None = None,
) -> tuple[ItemRecord, int]:
    """Write everything of `item` but its record into `store`; the record and the bytes of text.

    `numbers` restricts it to those of the item's documents. `watch` counts the stages.
    """
    tools = context.tools()
    with ExitStack() as stack:
        builder = _ItemBuilder(context, (item, tools, store, watch), stack)
        documents = builder.usable_documents(excluded, numbers)
        for batch in tokenize_documents(documents, tools.splitter, tools.tokenizer, watch):
            builder.add(batch)
        watch.switch("commit")
        if numbers is None:
            builder.check_input()
        return builder.finish(excluded), builder.text_bytes


class _ItemBuilder:
    """State of one item while it is built: its splits, counts, documents, what was unusable."""

    def __init__(
        self,
        context: BuildContext,
        parts: tuple[WorkItem, Tools, Store, Stopwatch],
        stack: ExitStack,
    ) -> None:
        self._context = context
        self._item, self._tools, store, self._watch = parts
        self._config = self._tools.config
        self._unknown = self._tools.tokenizer.unknown
        self._counts: Counter[str] = Counter()
        self._ids = array("Q")
        self._quarantine = Quarantine(store, self._item, stack)
        self._documents = DocumentWriter(store, self._item, stack)
        self._splits = {
            split: SplitBuilder(store, (self._item, split), self._tools, self._counts, stack)
            for split in SPLITS
        }

    def usable_documents(
        self, excluded: tuple[Exclusion, ...], numbers: range | None
    ) -> Iterator[Document]:
        """Documents with text, in order; the others are counted, bad input is kept aside."""
        left_out = {(one.source, one.start, one.stop): one for one in excluded}
        count = itertools.count()
        for read in self._timed(self._context.read(self._item, self._tools, self._counts)):
            if isinstance(read, Document):
                if numbers is not None and next(count) not in numbers:
                    continue
                read = _excluded(read, left_out)
            elif numbers is not None:
                continue
            if isinstance(read, BadInput):
                self._quarantine.add(read)
                self._counts[f"bad.{read.reason}"] += 1
                continue
            self._counts["documents"] += 1
            self._ids.append(id_hash(read.id))
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
                self._documents.add(batch.documents[index], split)
            numbers = range(first, self._documents.count)
            self._splits[split].add(batch, indices, numbers, self._watch)

    def finish(self, excluded: tuple[Exclusion, ...]) -> ItemRecord:
        """Finish the shards, then write documents and quarantine; the record is the caller's."""
        for split, builder in self._splits.items():
            self._counts[f"{split}.rows"] = builder.finish()
        return ItemRecord(
            item=self._item.id,
            slice=self._item.slice.number,
            pass_number=self._item.pass_number,
            shards=tuple(shard for builder in self._splits.values() for shard in builder.shards),
            documents=self._documents.finish(),
            quarantine=self._quarantine.finish(),
            excluded=excluded,
            counts=dict(sorted(self._counts.items())),
            statistics={split: one.statistics for split, one in self._splits.items()},
        )

    def check_input(self) -> None:
        """Raise `InputError` when most of the item is unusable, or an id occurs twice in it."""
        self._stop_if_mostly_bad()
        self._refuse_repeated_ids()

    @property
    def text_bytes(self) -> int:
        """Bytes of the texts that became tokens."""
        return self._documents.text_bytes

    def _timed(self, reads: Iterator[Read]) -> Iterator[Read]:
        while True:
            before = self._watch.switch("read")
            read = next(reads, None)
            self._watch.switch(before)
            if read is None:
                return
            yield read

    def _split_of(self, document: Document) -> str:
        return HELDOUT if is_heldout(document.id, self._config.heldout_ratio) else TRAIN

    def _refuse_repeated_ids(self) -> None:
        """Raise for an id that occurs twice; only then is the input read again, to name it."""
        values, number = np.unique(np.frombuffer(self._ids, np.uint64), return_counts=True)
        repeated = set(values[number > 1].tolist())
        if not repeated:
            return
        seen: dict[str, str] = {}
        for read in self._context.read(self._item, self._tools):
            if isinstance(read, BadInput) or id_hash(read.id) not in repeated:
                continue
            place = f"{read.path}#{read.start}"
            if seen.setdefault(read.id, place) is not place:
                raise duplicate_error(read.id, seen[read.id], place)

    def _stop_if_mostly_bad(self) -> None:
        bad = self._quarantine.count
        total = self._counts["documents"] + bad
        limit = self._context.max_bad_ratio
        if total >= _MIN_DOCUMENTS_TO_STOP and bad > max(_STOP_RATIO, limit) * total:
            raise bad_ratio_error(bad, total, limit, self._quarantine.first)


def _excluded(
    document: Document, left_out: dict[tuple[str, int, int], Exclusion]
) -> Document | BadInput:
    """The document, or why it is left out."""
    why = left_out.get((document.path, document.start, document.stop))
    if why is None:
        return document
    place = (document.path, document.start, document.stop)
    excerpt = document.text[:EXCERPT_CHARACTERS]
    return BadInput(why.reason, *place, why.detail, excerpt, document.id)
