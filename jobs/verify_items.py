"""The items of a data set, checked on an executor: shared by `verify` and `repair`.

Stands between the two commands and `pipeline/item_check.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobs.each import for_each
from jobs.executors.choice import open_executor
from jobs.executors.executor import ExecutorOptions
from pipeline.build import BuildContext
from pipeline.damage import Damage
from pipeline.item_check import CheckContext, Entries, ItemCheck, check_item
from pipeline.plan_tables import PlanReader
from pipeline.randomness import hash_fraction
from pipeline.rederive import rederive_item
from pipeline.totals import Totals
from pipeline.whole import Whole
from pipeline.whole_files import ItemEntries, item_entries
from schemas.names import MANIFEST_NAME
from schemas.plan import WorkItem

Advance = Callable[[int], None]
"""Told the bytes of each item that was read."""


@dataclass(frozen=True)
class Sources:
    """Inputs by name, and the share of the items that is built again from them."""

    files: dict[str, str | Path] = field(default_factory=dict)
    share: float = 0.0

    def has(self, item: WorkItem) -> bool:
        """Whether everything that `item` is built from was given."""
        return all(part.path in self.files for part in item.slice.ranges)


@dataclass
class Choice:
    """Which items are built again: those under the share by a hash of their id, or the one nearest
    to it. `missing` are chosen ones whose inputs were not given."""

    sources: Sources
    chosen: int = 0
    missing: int = 0
    nearest: tuple[float, WorkItem] | None = None

    def takes(self, item: WorkItem) -> bool:
        """Whether `item` is built again; the same for the same data set, share and inputs."""
        if not self.sources.files:
            return False
        place = hash_fraction(item.id, "verify")
        is_chosen, has_all = place < self.sources.share, self.sources.has(item)
        if has_all and (self.nearest is None or place < self.nearest[0]):
            self.nearest = (place, item)
        self.chosen += is_chosen and has_all
        self.missing += is_chosen and not has_all
        return is_chosen and has_all


@dataclass(frozen=True)
class VerifyContext:
    """What workers need of the data set."""

    check: CheckContext
    build: BuildContext


def verify_item(
    context: VerifyContext, item: WorkItem, entries: Entries | None, is_rederived: bool
) -> ItemCheck:
    """Check `item`, and build it again where asked."""
    found = check_item(context.check, item, entries)
    if is_rederived:
        found.damage += rederive_item(context.build, item)
    return found


@dataclass
class ItemsFound:
    """The damaged items with their entries in the shard table, in table order."""

    damaged: list[tuple[WorkItem, Entries | None]] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    rederived: int = 0
    missing_sources: int = 0


class ItemsCheck:
    """One look at the items of `whole`."""

    def __init__(self, whole: Whole, sources: Sources, is_deep: bool) -> None:
        self._whole, self._choice = whole, Choice(sources)
        recipe, place = whole.plan.recipe, whole.place
        files = {
            name: file.resolve() if isinstance(file, Path) else file
            for name, file in sources.files.items()
        }
        self._context = VerifyContext(
            CheckContext(place, recipe, is_deep), BuildContext(place, files, recipe)
        )

    def run(
        self, options: ExecutorOptions, totals: Totals, has_table: bool, advance: Advance
    ) -> ItemsFound:
        """Check every item; `has_table` says that the shard table can be trusted."""
        whole = self._whole
        damaged: list[tuple[WorkItem, Entries | None, list[Damage]]] = []
        entries_of: dict[str, Entries | None] = {}
        manifest = whole.manifest if has_table else None
        with (
            PlanReader(whole.store, whole.plan) as reader,
            item_entries(whole.store, manifest) as table,
            open_executor(options) as executor,
        ):
            tasks = self._tasks(reader, table, entries_of)
            for item, found in for_each(executor, verify_item, self._context, tasks):
                entries = entries_of.pop(item.id)
                totals.add(item, found)
                advance(found.bytes)
                whole.files += found.files
                if found.damage:
                    damaged.append((item, entries, found.damage))
            self._rederive_one(damaged)
        return self._found(damaged, table)

    def _tasks(
        self,
        reader: PlanReader,
        table: ItemEntries | None,
        entries_of: dict[str, Entries | None],
    ) -> Iterator[tuple[WorkItem, Entries | None, bool]]:
        for item in reader.items():
            entries = entries_of[item.id] = table.of(item) if table else None
            yield item, entries, self._choice.takes(item)
