"""inputs -> the plan of a build: a new one, the one begun before, or one that has grown.

Stands between the command line and the executors. Inputs are cut into tables in a temporary
folder; the data set's folder is not touched before the plan is complete.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobs.recipe import (
    MadeRecipe,
    check_recipe,
    has_tools,
    make_recipe,
    refuse_differences,
    write_tools,
)
from pipeline.finish import last_manifest
from pipeline.inputs import Inputs
from pipeline.plan_tables import PlanReader
from pipeline.planning import check_planned, cut_inputs, new_inputs
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from schemas.build_config import BuildConfig
from schemas.config import differing_keys
from schemas.errors import DamagedError, DatasetError, InputError
from schemas.manifest import Manifest
from schemas.names import PLAN_NAME, plan_name
from schemas.plan import PLAN_REMEDY, Plan, WorkItem
from schemas.temporary import temporary_folder

_SHOWN = 3


class Notes(Protocol):
    """Is told how planning goes; part of every `BuildWatcher`."""

    def stage(self, text: str) -> None:
        """A stage without items begins."""

    def note(self, text: str) -> None:
        """Something a person should know."""


@dataclass(frozen=True)
class PlannedBuild:
    """What a build will do: the items of `reader.plan`, on top of what `finished` describes."""

    reader: PlanReader
    inputs: Inputs
    finished: Manifest | None

    @property
    def version(self) -> int:
        """Version of the data set that this plan makes."""
        if self.finished is None:
            return 0
        is_same = self.finished.plan_digest == self.reader.plan.digest
        return self.finished.version + (not is_same)


@contextmanager
def planned_build(
    config: BuildConfig, inputs: Inputs, store: Store, notes: Notes
) -> Iterator[PlannedBuild]:
    """The plan that `inputs` and `config` ask for, kept in `store` as the one begun last.

    An unfinished growth goes on where its inputs are given again, else it is left. Raises
    `UserError`, with nothing written, for what cannot be planned.
    """
    finished = last_manifest(store)
    with ExitStack() as stack:
        scratch = LocalStore(Path(stack.enter_context(temporary_folder())))
        old = _base(store, finished, inputs, config)
        notes.stage("Reading and hashing the inputs")
        if old is None:
            first = Plan({}).grow(cut_inputs(scratch, inputs.files, config, 0), config.passes)
            notes.stage("Training the splitter and the tokenizer")
            made = _made(config, inputs, scratch, first)
            plan = Plan(made.recipe, first.generations)
            _publish(scratch, store)
            _begin(store, plan, made)
        else:
            if finished is None and not has_tools(store):
                _make_tools_again(store, old, config, inputs)
            check_recipe(old, config, store)
            plan = _grown(old, config, inputs, (scratch, store))
            _publish(scratch, store)
            _keep(store, plan, finished)
        reader = stack.enter_context(PlanReader(store, plan))
        yield PlannedBuild(reader, inputs, finished)


def _base(
    store: Store, finished: Manifest | None, inputs: Inputs, config: BuildConfig
) -> Plan | None:
    """The plan to go on with: the one begun last, or the finished one; None in a new folder."""
    begun = read_plan(store)
    if finished is None or begun is None:
        return begun
    done = read_plan(store, plan_name(finished.plan_digest))
    if done is None:
        place = store.where(plan_name(finished.plan_digest))
        raise DamagedError(f"{place}: missing; {PLAN_REMEDY}")
    count = len(done.generations)
    if begun.generations[:count] != done.generations or config.passes < begun.passes:
        return done
    added = Plan(begun.recipe, begun.generations[count:])
    with PlanReader(store, added) as reader:
        is_asked_for = all(file.path in inputs.files for file in reader.inputs())
    return begun if is_asked_for else done


def _made(config: BuildConfig, inputs: Inputs, store: Store, plan: Plan) -> MadeRecipe:
    """Recipe and tools from the inputs of `plan`, whose tables are in `store`."""
    with PlanReader(store, plan) as reader:
        _check_given((file.path for file in reader.inputs()), inputs)
        ranges = (part for one in reader.slices() for part in one.ranges)
        return make_recipe(config, inputs, ranges)


def _begin(store: Store, plan: Plan, made: MadeRecipe) -> None:
    """Write down the first plan, then the tools it names: only one build can begin a data set."""
    content = plan.to_json().encode()
    store.create(plan_name(plan.digest), content)
    if not store.create(PLAN_NAME, content) and read_plan(store) != plan:
        raise DatasetError(
            f"{store.place}: another build was begun here at the same time; run the same command "
            "again to go on with that one, or build into another folder"
        )
    write_tools(store, made)


def _make_tools_again(store: Store, plan: Plan, config: BuildConfig, inputs: Inputs) -> None:
    """Tools of a build that ended right behind its first plan; those that the plan names."""
    first = Plan(plan.recipe, plan.generations[:1])
    made = _made(config, inputs, store, first)
    refuse_differences(store, differing_keys(plan.recipe, made.recipe))
    write_tools(store, made)


def _grown(old: Plan, config: BuildConfig, inputs: Inputs, stores: tuple[Store, Store]) -> Plan:
    scratch, store = stores
    with PlanReader(store, old) as reader:
        old.grow(None, config.passes)  # refuses fewer passes before anything is read
        added = new_inputs(reader, inputs)
        new = cut_inputs(scratch, added, config, old.num_slices) if added else None
        plan = old.grow(new, config.passes)
        if plan.passes > old.passes:
            _check_given((file.path for file in reader.inputs()), inputs)
        if plan != old:
            check_planned(reader, inputs)
    return plan


def _keep(store: Store, plan: Plan, finished: Manifest | None) -> None:
    """Write the plan down as the one begun last, unless there is nothing to build of it."""
    content = plan.to_json().encode()
    store.create(plan_name(plan.digest), content)
    if (finished is None or plan.digest != finished.plan_digest) and read_plan(store) != plan:
        store.replace(PLAN_NAME, content)


def _publish(scratch: LocalStore, store: Store) -> None:
    """Copy the tables of new slices into the data set; their names hold their hashes."""
    for name, size in scratch.files("plan").items():
        if store.size(name) != size:
            with scratch.local(name) as path, store.draft("plan") as draft:
                draft.path.write_bytes(path.read_bytes())
                draft.commit(name)


def read_plan(store: Store, name: str = PLAN_NAME) -> Plan | None:
    """The plan under `name`; None when there is none. `DatasetError` for a damaged one."""
    try:
        text = store.read(name).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    return Plan.from_json(text, store.where(name))


def check_sources(items: Iterable[WorkItem], inputs: Inputs) -> int:
    """The number of the unfinished `items`; `InputError` when one needs an input not given."""
    needed: set[str] = set()
    count = 0
    for item in items:
        count += 1
        needed.update(part.path for part in item.slice.ranges)
    _check_given(needed, inputs)
    return count


def _check_given(needed: Iterable[str], inputs: Inputs) -> None:
    missing = sorted(name for name in needed if name not in inputs.files)
    if missing:
        shown = f"{', '.join(missing[:_SHOWN])}{', ...' if len(missing) > _SHOWN else ''}"
        raise InputError(
            f"unfinished work items need inputs that were not given: {len(missing)} ({shown}); "
            "add them to --input"
        )
