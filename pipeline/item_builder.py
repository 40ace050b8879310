"""documents -> shards, documents and quarantine of one work item: the state of building it.

Used by `build.py`, which adds the record.
"""

import itertools
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from pipeline.document_table import DocumentWriter, duplicate_error, id_hash
from pipeline.documents import is_heldout
from pipeline.quarantine import Quarantine
from pipeline.readers.reads import (
    EXCERPT_CHARACTERS,
    BadInput,
    Document,
    Read,
    Tally,
    bad_ratio_error,
)
from pipeline.split_builder import SplitBuilder
from pipeline.stopwatch import Stopwatch
from pipeline.stores.store import Store
from pipeline.text import TokenBatch
from pipeline.tools import Tools
from schemas.manifest import HELDOUT, SPLITS, TRAIN
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemRecord

_MIN_DOCUMENTS_TO_STOP, _STOP_RATIO = 100, 0.5


@dataclass(frozen=True)
class ItemParts:
    """What an item is built of and with; `read` gives all of its input and adds to a tally."""

    item: WorkItem
    tools: Tools
    store: Store
    watch: Stopwatch
    read: Callable[[Tally | None], Iterator[Read]]
    max_bad_ratio: float


class ItemBuilder:
    """State of one item while it is built; `stack` removes what is not finished."""

    def __init__(self, parts: ItemParts, stack: ExitStack) -> None:
        self._parts, self._item, self._tools = parts, parts.item, parts.tools
        self._watch, self._config = parts.watch, parts.tools.config
        self._unknown = self._tools.tokenizer.unknown
        self._counts: Counter[str] = Counter()
        self._ids = array("Q")
        self._quarantine = Quarantine(parts.store, self._item, stack)
        self._documents = DocumentWriter(parts.store, self._item, stack)
        self._splits = {
            split: SplitBuilder(parts.store, (self._item, split), self._tools, self._counts, stack)
            for split in SPLITS
        }

    def usable_documents(
        self, excluded: tuple[Exclusion, ...], numbers: range | None
    ) -> Iterator[Document]:
        """Documents with text, in order; the others are counted, bad input is kept aside."""
        left_out = {(one.source, one.start, one.stop): one for one in excluded}
        count = itertools.count()
        for read in self._timed(self._parts.read(self._counts)):
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
        for read in self._parts.read(None):
            if isinstance(read, BadInput) or id_hash(read.id) not in repeated:
                continue
            place = f"{read.path}#{read.start}"
            if seen.setdefault(read.id, place) is not place:
                raise duplicate_error(read.id, seen[read.id], place)

    def _stop_if_mostly_bad(self) -> None:
        bad = self._quarantine.count
        total = self._counts["documents"] + bad
        limit = self._parts.max_bad_ratio
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
