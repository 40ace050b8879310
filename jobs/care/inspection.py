"""One look at everything in a data set: what `verify` reports and `repair` mends.

Stands between the two commands and the checks in `pipeline/`. Nothing is changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.build_place import folder_of
from jobs.care.remake import stored_config
from jobs.care.verify_items import ItemsCheck, ItemsFound, Sources
from jobs.executors.executor import ExecutorOptions
from pipeline.care.damage import Damage
from pipeline.care.known_files import KnownFiles
from pipeline.care.totals import Totals
from pipeline.care.whole import Whole
from pipeline.care.whole_files import (
    check_older,
    check_plan_tables,
    check_sums,
    check_table,
    check_tar_index,
    check_tools,
)
from pipeline.inputs import find_inputs
from pipeline.plan_tables import PlanReader
from pipeline.stores.store import Store
from schemas.errors import InputError
from schemas.names import CONFIG_NAME, MANIFEST_NAME

_NO_CONFIG = (
    f"{CONFIG_NAME} is missing, or is not the configuration of the recipe; only people read it, "
    "and a repair of plan tables or tokenizer"
)


@dataclass(frozen=True)
class VerifyRequest:
    """What the command line asks for. `share` is the part of the items that a deep check builds
    again from `inputs`, at least one; empty `executor`: serial for one worker, else processes."""

    dataset: str | Path
    is_deep: bool = False
    inputs: Sequence[str | Path] = ()
    share: float = 0.05
    executor: str = ""
    workers: int = 1

    def options(self) -> ExecutorOptions:
        """Where to run."""
        default = "processes" if self.workers > 1 else "serial"
        return ExecutorOptions(self.executor or default, self.workers)


@dataclass(frozen=True)
class Verified:
    """What was read, and what is wrong.

    `problems` has one line per finding: file, what was expected, what was found, remedy. `notes`
    are no damage. `samples` were held against their laws, `rederived` items built again.
    """

    items: int
    shards: int
    rows: int
    bytes: int
    samples: int
    rederived: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass
class Inspection:
    """Everything that a check found, for those who mend it. `items` is None where the plan's
    tables are damaged, so that nobody knows the items; `has_table` and `has_tools` say that shard
    table, tokenizer and splitter can be trusted."""

    whole: Whole
    has_table: bool
    has_tools: bool
    items: ItemsFound | None
    verified: Verified

    @property
    def damage(self) -> list[Damage]:
        """All damage: that above the items first."""
        return self.whole.found + (self.items.damage if self.items else [])


def inspect(whole: Whole, request: VerifyRequest, advance: Callable[[int], None]) -> Inspection:
    """Look at everything below `whole`."""
    is_known = check_plan_tables(whole)
    manifest = whole.manifest
    has_table = manifest is not None and check_table(whole.damage, manifest)
    if has_table:
        check_tar_index(whole)
    check_older(whole)
    if request.is_deep and has_table and is_known:
        check_sums(whole)
    has_tools = check_tools(whole)
    known, items, sources = KnownFiles(), None, Sources()
    with Totals() as totals:
        if is_known:
            sources = _sources(whole, request) if has_tools else sources
            check = ItemsCheck(whole, totals, known, advance)
            is_deep = request.is_deep and has_tools
            items = check.run(request.options(), sources, has_table, is_deep)
            _compare(whole, totals)
        known.add(name for name in whole.files if whole.store.size(name) is not None)
        if stored_config(whole.store, whole.plan) is None:
            whole.notes.append(_NO_CONFIG)
        notes = [*whole.notes, *_limits(request, (is_known, has_tools), items)]
        notes += known.notes(whole.store) if is_known else []
        verified = _verified(whole, totals, items, notes)
    return Inspection(whole, has_table, has_tools, items, verified)


def find_sources(store: Store, places: Sequence[str | Path]) -> dict[str, str | Path]:
    """The inputs at `places` by the names they have in a build; none for no place."""
    return find_inputs(places, folder_of(store)).files if places else {}


def _sources(whole: Whole, request: VerifyRequest) -> Sources:
    files = find_sources(whole.store, request.inputs) if request.is_deep else {}
    if files:
        with PlanReader(whole.store, whole.plan) as reader:
            if not any(file.path in files for file in reader.inputs()):
                raise InputError(
                    f"{whole.store.place}: was not built from any of the {len(files)} inputs given "
                    f"({min(files)}, ...); give its inputs under the names they had in the build"
                )
    return Sources(files, request.share)


def _compare(whole: Whole, totals: Totals) -> None:
    """The manifest's sums, where every item could be counted."""
    if whole.manifest and totals.is_whole:
        for what in totals.differences(whole.manifest, whole.plan):
            whole.damage.add(MANIFEST_NAME, what)


def _limits(
    request: VerifyRequest, intact: tuple[bool, bool], items: ItemsFound | None
) -> list[str]:
    """What was not looked at, although it was asked for."""
    is_known, has_tools = intact
    if not is_known:
        return ["the items were not looked at: tables of the plan are damaged"]
    if not request.is_deep:
        return []
    if not has_tools:
        return ["laws were not checked, nothing was re-derived: tokenizer or splitter is damaged"]
    if not request.inputs:
        return ["nothing was re-derived from its sources: no --input was given"]
    if items and items.missing_sources:
        return [f"{items.missing_sources} items of the share were not re-derived: inputs not given"]
    return []


def _verified(whole: Whole, totals: Totals, items: ItemsFound | None, notes: list[str]) -> Verified:
    damage = whole.found + (items.damage if items else [])
    return Verified(
        items=totals.items,
        shards=totals.shards,
        rows=totals.rows,
        bytes=totals.bytes,
        samples=totals.samples,
        rederived=items.rederived if items else 0,
        problems=tuple(one.text for one in damage),
        notes=tuple(notes),
    )
