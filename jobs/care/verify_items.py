"""The items of a data set, checked on an executor: shared by `verify` and `repair`.

Stands between the two commands and `pipeline/care/item_check.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobs.care.each import for_each
from jobs.executors.choice import open_executor
from jobs.executors.executor import ExecutorOptions
from pipeline.build import BuildContext
from pipeline.care.damage import Damage
from pipeline.care.item_check import CheckContext, Entries, ItemCheck, check_item
from pipeline.care.known_files import KnownFiles
from pipeline.care.rederive import rederive_item
from pipeline.care.totals import Totals
from pipeline.care.whole import Whole
from pipeline.care.whole_files import ItemEntries, item_entries
from pipeline.plan_tables import PlanReader
from pipeline.randomness import hash_fraction
from schemas.manifest import ShardEntry
from schemas.plan import WorkItem

_ELSEWHERE = "restore the file from a copy, or build into another folder"

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
    """One look at the items of `whole`, which are counted in `totals` and `known`."""

    def __init__(self, whole: Whole, totals: Totals, known: KnownFiles, advance: Advance) -> None:
        self._whole, self._totals, self._known = whole, totals, known
        self._advance = advance
        self._damaged: list[tuple[WorkItem, Entries | None, list[Damage]]] = []
        self._entries: dict[str, Entries | None] = {}

    def run(
        self, options: ExecutorOptions, sources: Sources, has_table: bool, is_deep: bool
    ) -> ItemsFound:
        """Check every item; `has_table` says that the shard table can be trusted."""
        whole, choice = self._whole, Choice(sources)
        context = _context(whole, sources, is_deep)
        with (
            PlanReader(whole.store, whole.plan) as reader,
            item_entries(whole.store, whole.manifest if has_table else None) as table,
            open_executor(options) as executor,
        ):
            tasks = self._tasks(reader, table, choice)
            for item, found in for_each(executor, verify_item, context, tasks):
                self._take(item, found)
            left = table.left() if table else []
        if choice.nearest and not choice.chosen:
            choice.chosen, item = 1, choice.nearest[1]
            self._note(item, None, rederive_item(context.build, item))
        return self._found(choice, left)

    def _tasks(
        self, reader: PlanReader, table: ItemEntries | None, choice: Choice
    ) -> Iterator[tuple[WorkItem, Entries | None, bool]]:
        for item in reader.items():
            entries = self._entries[item.id] = table.of(item) if table else None
            yield item, entries, choice.takes(item)

    def _take(self, item: WorkItem, found: ItemCheck) -> None:
        self._totals.add(item, found)
        self._known.add(found.files)
        self._advance(found.bytes)
        self._note(item, self._entries.pop(item.id), found.damage)

    def _note(self, item: WorkItem, entries: Entries | None, damage: list[Damage]) -> None:
        if damage:
            self._damaged.append((item, entries, damage))

    def _found(self, choice: Choice, left: list[ShardEntry]) -> ItemsFound:
        order = sorted(self._damaged, key=lambda one: _place(one[0]))
        damage = [one for _, _, found in order for one in found]
        if left and self._whole.manifest:
            name = self._whole.manifest.table.path
            text = f"{left[0].path} is in the shard table, but no item of the plan has it"
            damage.append(Damage(name, f"{self._whole.store.where(name)}: {text}; {_ELSEWHERE}"))
        items = [(item, entries) for item, entries, _ in order]
        return ItemsFound(items, damage, choice.chosen, choice.missing)


def _context(whole: Whole, sources: Sources, is_deep: bool) -> VerifyContext:
    place, recipe = whole.place, whole.plan.recipe
    build = BuildContext(place, absolute(sources.files), recipe)
    return VerifyContext(CheckContext(place, recipe, is_deep), build)


def absolute(files: dict[str, str | Path]) -> dict[str, str | Path]:
    """Inputs as workers in any folder can open them."""
    return {
        name: file.resolve() if isinstance(file, Path) else file for name, file in files.items()
    }


def _place(item: WorkItem) -> tuple[int, int, int]:
    return item.generation, item.pass_number, item.slice.number
