"""A sample of a build's work items, really built and timed, and what follows for all of them.

Used by `dry_run.py`. Whole items are taken, in the order of their hashes, so that the same plan
gives the same sample everywhere.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jobs.estimate import Forecast
from pipeline.build import BuildContext, build_record
from pipeline.inputs import check_range
from pipeline.records import commit_record
from pipeline.stopwatch import Stopwatch
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from schemas.errors import BlankstreamError
from schemas.manifest import HELDOUT, SPLITS, TRAIN
from schemas.names import record_name
from schemas.plan import WorkItem

SAMPLE_ITEMS = 3
SAMPLE_BYTES = 16_000_000
"""No further item is sampled once so much input was; the last one may be larger."""


@dataclass
class Pending:
    """Items to build: their sums as they go by, and those that come `first` in the order of the
    sample (pass, hash of the first range, number)."""

    items: int = 0
    source_bytes: int = 0
    first_pass_bytes: int = 0
    largest_bytes: int = 0
    first: list[WorkItem] = field(default_factory=list)

    def through(self, items: Iterable[WorkItem]) -> Iterator[WorkItem]:
        """The `items` as they are, each counted on its way."""
        for item in items:
            size = item.slice.bytes
            self.items += 1
            self.source_bytes += size
            self.first_pass_bytes += 0 if item.pass_number else size
            self.largest_bytes = max(self.largest_bytes, size)
            self.first = sorted([*self.first, item], key=_order)[:SAMPLE_ITEMS]
            yield item

    def chosen(self) -> list[WorkItem]:
        """At most `SAMPLE_ITEMS` items, fewer where they hold `SAMPLE_BYTES`."""
        taken: list[WorkItem] = []
        while len(taken) < len(self.first) and _bytes(taken) < SAMPLE_BYTES:
            taken.append(self.first[len(taken)])
        return taken


def _order(item: WorkItem) -> tuple[int, str, int]:
    return item.pass_number, item.slice.ranges[0].xxh3, item.slice.number


def _bytes(items: Iterable[WorkItem]) -> int:
    return sum(item.slice.bytes for item in items)


@dataclass
class Sample:
    """What building some items one after another in this process gave; `failures` are items that a
    build would have to look into."""

    items: list[WorkItem] = field(default_factory=list)
    disk_bytes: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def build(self, context: BuildContext, item: WorkItem, store: Store) -> None:
        """Add one item, written into `store`.

        Raises what ends a build; an error that a single document may have caused is noted.
        """
        try:
            self._build(context, item, store)
        except (AssertionError, BlankstreamError, OSError, MemoryError):
            raise
        except Exception as error:
            self.failures.append(f"{item.name}: {type(error).__name__}: {error}")

    def _build(self, context: BuildContext, item: WorkItem, store: Store) -> None:
        """What `build_work_item` does, timed."""
        started = time.perf_counter()
        for source in item.slice.ranges:
            check_range(context.sources[source.path], source)
        record, _ = build_record(context, item, store, Stopwatch("check"))
        commit_record(store, item, record)
        self.seconds += time.perf_counter() - started
        files = [record.documents, record.quarantine, *record.shards]
        self.disk_bytes += sum(file.hashes.bytes for file in files if file)
        self.disk_bytes += store.size(record_name(item)) or 0
        self.counts.update(record.counts)
        self.items.append(item)


def build_sample(
    context: BuildContext, items: list[WorkItem], store: Store, scratch: Path
) -> Sample:
    """Build `items` into `store`.

    The first document is built once before, into the empty folder `scratch`, so that no time goes
    into loading libraries, tokenizer and compiled code.
    """
    sample, watch = Sample(), Stopwatch("check")
    if items:
        with suppress(Exception):
            build_record(context, items[0], LocalStore(scratch), watch, (), range(1))
    for item in items:
        sample.build(context, item, store)
    return sample


def forecast(pending: Pending, sample: Sample, workers: int) -> Forecast | None:
    """What `pending` will come to: everything in proportion to the bytes of input.

    Held-out rows are in proportion to those of the first pass, which alone has them. Workers do
    not hinder each other, and the largest item takes as long as it takes. None without a sample.
    """
    size = _bytes(sample.items)
    if not size:
        return None
    first = _bytes(item for item in sample.items if item.pass_number == 0)
    parts = {TRAIN: pending.source_bytes / size, HELDOUT: pending.first_pass_bytes / max(1, first)}
    seconds, counts = sample.seconds * parts[TRAIN], sample.counts
    return Forecast(
        rows={split: round(counts[f"{split}.rows"] * parts[split]) for split in SPLITS},
        tokens=round(counts["documents.tokens"] * parts[TRAIN]),
        disk_bytes=round(sample.disk_bytes * parts[TRAIN]),
        worker_seconds=seconds,
        seconds=max(seconds / workers, sample.seconds * pending.largest_bytes / size),
        sampled_items=len(sample.items),
        sampled_bytes=size,
        sampled_documents=counts["documents"],
        sampled_bad=sum(count for name, count in counts.items() if name.startswith("bad.")),
        is_exact=len(sample.items) == pending.items,
    )
