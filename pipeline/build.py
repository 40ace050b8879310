"""One work item, from documents to shards and the record: what executors run.

`build_work_item` is a pure function of (recipe, item) apart from where it writes: any process, any
number of times, in any order, gives the same bytes. The record is written last.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.documents import read_documents
from pipeline.inputs import check_range
from pipeline.item_builder import ItemBuilder, ItemParts
from pipeline.readers.reads import (
    Read,
    Tally,
)
from pipeline.records import commit_record, read_record
from pipeline.stopwatch import Stopwatch
from pipeline.stores.choice import open_store
from pipeline.stores.store import Store
from pipeline.text import tokenize_documents
from pipeline.tools import Tools, load_tools
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemRecord, ItemResult


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
    parts = ItemParts(
        item, tools, store, watch, partial(context.read, item, tools), context.max_bad_ratio
    )
    with ExitStack() as stack:
        builder = ItemBuilder(parts, stack)
        documents = builder.usable_documents(excluded, numbers)
        for batch in tokenize_documents(documents, tools.splitter, tools.tokenizer, watch):
            builder.add(batch)
        watch.switch("commit")
        if numbers is None:
            builder.check_input()
        return builder.finish(excluded), builder.text_bytes
