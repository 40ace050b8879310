"""`blankstream repair`: damaged files of a data set put back to the bytes they had.

Finds what the fast `verify` finds, builds the items concerned once more from their sources, and
puts in place only what is missing or damaged. docs/verify.md says what it needs.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.care.each import for_each
from jobs.care.inspection import Inspection, VerifyRequest, find_sources, inspect
from jobs.care.mend_whole import mend_whole
from jobs.care.remake import Contents, Files, remade_tables, remade_tools
from jobs.care.verify_items import absolute
from jobs.disk_errors import disk_error
from jobs.executors.choice import open_executor
from pipeline.build import BuildContext
from pipeline.care.item_check import CheckContext, check_item
from pipeline.care.mend_item import mend_item, read_or_none
from pipeline.care.whole import Whole, read_whole
from pipeline.care.whole_files import check_older, check_plan_tables, check_table, check_tools
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.overlay import OverlayStore
from pipeline.stores.store import Store
from schemas.errors import CorruptDataError, InputError
from schemas.plan import WorkItem

_SHOWN = 3


@dataclass(frozen=True)
class RepairRequest:
    """What the command line asks for; empty `executor` as in `VerifyRequest`."""

    dataset: str | Path
    inputs: Sequence[str | Path] = ()
    executor: str = ""
    workers: int = 1


@dataclass(frozen=True)
class Repaired:
    """`problems` is what was wrong; `items` were built again; `files` are the names of those
    written, sorted; `notes` as in `Verified`."""

    problems: tuple[str, ...]
    items: int
    files: tuple[str, ...]
    notes: tuple[str, ...]


def repair_dataset(request: RepairRequest, advance: Callable[[int], None]) -> Repaired:
    """Mend the data set; where nothing is damaged nothing is written.

    `advance` is told the bytes of every item looked at. Raises `DatasetError` when there is no data
    set, or damage that only a copy can mend, `InputError` for sources that are needed and not given
    or have changed: all of that before anything is written. `CorruptDataError` when what is built
    is not what was recorded, or is damaged again at the end.
    """
    store = open_store(request.dataset)
    files = absolute(find_sources(store, request.inputs))
    whole = read_whole(store, needs_manifest=False)
    checked = VerifyRequest(request.dataset, executor=request.executor, workers=request.workers)
    try:
        return _repaired(whole, checked, files, advance)
    except OSError as error:
        raise disk_error(store.place, error) from error


def _repaired(
    whole: Whole, checked: VerifyRequest, files: Files, advance: Callable[[int], None]
) -> Repaired:
    store = whole.store
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        mended = OverlayStore(store, LocalStore(Path(name)))
        made = {} if check_plan_tables(whole) else remade_tables(whole, files)
        _write_all(mended, made)
        whole.look_at(mended)
        found = inspect(whole, checked, advance)
        whole.look_at(store)
        return _Repair(found, checked, files).run(made)


class _Repair:
    """One repair of what `found` says."""

    def __init__(self, found: Inspection, request: VerifyRequest, files: Files) -> None:
        assert found.items, "the tables of the plan are intact"
        self._found, self._options, self._items = found, request.options(), found.items.damaged
        whole = found.whole
        self._whole, self._store = whole, whole.store
        self._build = BuildContext(whole.place, files, whole.plan.recipe)

    def run(self, made: Contents) -> Repaired:
        """Write the plan tables `made`, mend tools, items, and what stands above them; then look
        again."""
        problems, notes = self._found.verified.problems, self._found.verified.notes
        if not self._found.damage:
            return Repaired(problems, 0, (), notes)
        files = self._build.sources
        _check_given((item for item, _ in self._items), files)
        written = _write_all(self._store, made | self._tools(made))
        with open_executor(self._options) as executor:
            tasks = iter(self._items)
            for _, names in for_each(executor, mend_item, self._build, tasks):
                written += names
        written += mend_whole(self._whole)
        self._look_again()
        return Repaired(problems, len(self._items), tuple(sorted(written)), notes)

    def _tools(self, made: Contents) -> Contents:
        """Tokenizer and splitter, where they are damaged."""
        if self._found.has_tools:
            return {}
        with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
            mended = OverlayStore(self._store, LocalStore(Path(name)))
            _write_all(mended, made)
            self._whole.look_at(mended)
            tools = remade_tools(self._whole, self._build.sources)
            self._whole.look_at(self._store)
        return tools

    def _look_again(self) -> None:
        """Raise `CorruptDataError` for damage in what was touched."""
        whole = read_whole(self._store)
        check_plan_tables(whole)
        check_tools(whole)
        assert whole.manifest
        check_table(whole.damage, whole.manifest)
        check_older(whole)
        damage = whole.found
        context = CheckContext(whole.place, whole.plan.recipe)
        with open_executor(self._options) as executor:
            tasks = ((item, None) for item, _ in self._items)
            for _, check in for_each(executor, check_item, context, tasks):
                damage += check.damage
        if damage:
            told = "\n".join(one.text for one in damage)
            raise CorruptDataError(
                f"{self._store.place}: still damaged after the repair; what is listed cannot be "
                f"made again, or was changed meanwhile: restore it from a copy\n{told}"
            )


def _check_given(items: Iterable[WorkItem], files: Files) -> None:
    needed = {part.path for item in items for part in item.slice.ranges}
    if missing := sorted(needed - files.keys()):
        more = ", ..." if len(missing) > _SHOWN else ""
        raise InputError(
            f"damaged items need {len(missing)} inputs that were not given: "
            f"{', '.join(missing[:_SHOWN])}{more}; add them to --input; nothing was changed"
        )


def _write_all(store: Store, contents: Contents) -> list[str]:
    """Write what differs; names."""
    differing = [name for name in contents if read_or_none(store, name) != contents[name]]
    for name in differing:
        store.replace(name, contents[name])
    return differing
