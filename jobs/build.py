"""`blankstream build`: inputs -> plan -> work items on an executor -> a finished data set.

The driver holds no state of its own: everything it needs to go on after a crash is in the data
set's folder.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from jobs.executors import run_items
from pipeline.build import BuildContext
from pipeline.checks import check_config, check_vocabulary
from pipeline.engines.choice import choose_engine
from pipeline.finish import finish_dataset, read_record
from pipeline.inputs import Inputs, cut_ranges, find_inputs
from pipeline.planning import (
    build_recipe,
    check_planned,
    group_ranges,
    new_inputs,
    recipe_libraries,
)
from pipeline.preparation import prepare_splitter, prepare_tokenizer, sample_texts
from pipeline.sentences import Splitter, load_splitter
from pipeline.tokens import load_tokenizer, read_description, save_tokenizer
from pipeline.tools import open_tools
from pipeline.vocabularies.tokenizer import Tokenizer
from schemas.build_config import BuildConfig
from schemas.config import differing_keys, to_mapping
from schemas.errors import DatasetError, InputError
from schemas.manifest import PLAN_NAME, SPLITTER_NAME, TOKENIZER_FOLDER, Manifest
from schemas.plan import InputFile, Plan, SourceRange, WorkItem
from schemas.record import ItemRecord
from schemas.sealed import read_sealed
from schemas.storage import TEMPORARY_MARK, commit_text, remove_leftovers


@dataclass(frozen=True)
class BuildRequest:
    """What the command line asks for."""

    config: BuildConfig
    inputs: Sequence[str | Path]
    output: Path
    executor: str
    workers: int


class BuildWatcher(Protocol):
    """Sees what a build does; see `jobs/build_progress.py`."""

    def stage(self, text: str) -> None:
        """A stage without items begins."""

    def note(self, text: str) -> None:
        """Something a person should know."""

    def items(self, total: int, done: int) -> None:
        """The items begin: `done` of `total` were built before."""

    def item_done(self, record: ItemRecord) -> None:
        """One item was committed."""


def build_dataset(request: BuildRequest, watcher: BuildWatcher) -> Manifest:
    """Build, continue or grow the data set at `request.output`; returns its manifest.

    Raises `UserError`: before anything is written when the request cannot be carried out, later for
    what only the documents show (an id that occurs twice, too much unusable input).
    """
    check_config(request.config)
    choose_engine()
    inputs = find_inputs(request.inputs, request.output)
    old = read_plan(request.output)
    remove_leftovers(request.output)
    if inputs.skipped:
        watcher.note(f"Not read: {inputs.skipped_by_reason()}")
    watcher.stage("Reading and hashing the inputs")
    added, groups = _cut(new_inputs(old, inputs) if old else inputs.files, request.config)
    if old is None:
        watcher.stage("Training the splitter and the tokenizer")
        old = Plan(_new_recipe(request, inputs, [part for group in groups for part in group]))
    else:
        _check_recipe(old, request)
    plan = old.grow(added, groups, request.config.passes)
    items = list(plan.items())
    pending = [item for item in items if read_record(request.output, item) is None]
    _check_sources(pending, inputs)
    if plan != old:
        check_planned(old, inputs)
        commit_text(request.output / PLAN_NAME, plan.to_json())
    watcher.items(len(items), len(items) - len(pending))
    _build_items(plan, pending, inputs, request, watcher)
    watcher.stage("Writing the shard table and the manifest")
    return finish_dataset(request.output, plan, request.config.max_bad_ratio)


def read_plan(dataset: Path) -> Plan | None:
    """The plan of a data set begun before, None in a new folder.

    Raises `DatasetError` for a folder that holds something else.
    """
    _check_place(dataset)
    path = dataset / PLAN_NAME
    if path.exists():
        return Plan.from_json(read_sealed(path), str(path))
    ours = {TOKENIZER_FOLDER, SPLITTER_NAME}
    if dataset.exists():
        if not dataset.is_dir():
            raise DatasetError(f"{dataset}: is a file; give a folder as --output")
        others = [
            path.name
            for path in dataset.iterdir()
            if path.name.split(TEMPORARY_MARK)[0] not in ours
        ]
        if others:
            raise DatasetError(
                f"{dataset}: holds no {PLAN_NAME} but other files ({sorted(others)[0]}, ...); give "
                "a new or empty folder as --output"
            )
    return None


def _check_place(dataset: Path) -> None:
    """Raise `DatasetError` where no folder of this name can be made or written."""
    try:
        place = next(
            path for path in (dataset.absolute(), *dataset.absolute().parents) if path.exists()
        )
    except OSError as error:
        raise DatasetError(f"{dataset}: cannot be a folder ({error.strerror})") from error
    if place != dataset.absolute() and not place.is_dir():
        raise DatasetError(f"{dataset}: {place} is a file; give another --output")
    if not os.access(place, os.W_OK):
        raise DatasetError(f"{dataset}: no permission to write in {place}; give another --output")


def _cut(
    files: dict[str, str | Path], config: BuildConfig
) -> tuple[tuple[InputFile, ...], list[tuple[SourceRange, ...]]]:
    described, ranges = [], []
    for name, file in files.items():
        input_file, parts = cut_ranges(name, file, config)
        described.append(input_file)
        ranges += parts
    if described and not any(known.bytes for known in described):
        raise InputError(f"all {len(described)} inputs are empty files; check --input")
    return tuple(described), group_ranges(ranges, config.item_bytes)


def _new_recipe(
    request: BuildRequest, inputs: Inputs, ranges: Sequence[SourceRange]
) -> dict[str, Any]:
    """Make splitter and tokenizer, store them, and return the recipe that names them."""
    config, output = request.config, request.output
    needs_sample = config.splitter == "train" or not config.tokenizer.path
    texts = sample_texts(ranges, inputs.files, config) if needs_sample else []
    splitter = prepare_splitter(texts, config)
    tokenizer = prepare_tokenizer(texts, splitter, config)
    check_vocabulary(config, tokenizer.special)
    commit_text(output / SPLITTER_NAME, splitter.to_json())
    save_tokenizer(tokenizer, output / TOKENIZER_FOLDER, _origin(config))
    versions = _versions(config, tokenizer)
    return build_recipe(config, tokenizer.describe(), splitter.digest, versions)


def _origin(config: BuildConfig) -> dict[str, Any]:
    """How splitter and tokenizer came to be, without any path of this machine."""
    tokenizer = to_mapping(config.tokenizer)
    given = Path(config.splitter).name if config.splitter != "train" else "train"
    return tokenizer | {"path": Path(config.tokenizer.path).name, "splitter": given}


def _versions(config: BuildConfig, tokenizer: Tokenizer) -> dict[str, str]:
    return {name: version(name) for name in recipe_libraries(config, tokenizer.kind)}


def _check_recipe(plan: Plan, request: BuildRequest) -> None:
    """Raise `DatasetError` naming the keys in which the request differs from the data set."""
    output, config = request.output, request.config
    tokenizer, splitter = open_tools(output, plan.recipe)
    if config.tokenizer.path:
        tokenizer = load_tokenizer(Path(config.tokenizer.path), config.tokenizer)
    if config.splitter != "train":
        splitter = _asked_splitter(config, output) or splitter
    versions = _versions(config, tokenizer)
    recipe = build_recipe(config, tokenizer.describe(), splitter.digest, versions)
    differences = differing_keys(plan.recipe, recipe)
    differences += differing_keys(tokenizer_origin(output), _origin(config), "build.tokenizer")
    if differences:
        raise DatasetError(
            f"{output}: was begun with another recipe; a data set has only one. Differing keys:\n  "
            + "\n  ".join(differences)
            + "\nBuild into another folder, ask for the recipe of this one, or delete it first"
        )


def _asked_splitter(config: BuildConfig, output: Path) -> Splitter | None:
    """The splitter that is asked for again; None where a language's tables are no longer there."""
    try:
        return load_splitter(config.splitter, by=config.splitter_by)
    except InputError:
        if tokenizer_origin(output)["splitter"] != config.splitter:
            raise
        return None


def tokenizer_origin(dataset: Path) -> dict[str, Any]:
    """What `_origin` said when the data set was begun."""
    origin: dict[str, Any] = read_description(dataset / TOKENIZER_FOLDER)["trained"]
    return origin


def _build_items(
    plan: Plan,
    pending: Sequence[WorkItem],
    inputs: Inputs,
    request: BuildRequest,
    watcher: BuildWatcher,
) -> None:
    if pending:
        sources = {
            name: file.resolve() if isinstance(file, Path) else file
            for name, file in inputs.files.items()
        }
        context = BuildContext(request.output.resolve(), sources, plan.recipe)
        workers = max(1, min(request.workers, len(pending)))
        run_items(request.executor, context, pending, workers, watcher.item_done)


def _named(names: Sequence[str]) -> str:
    """How many, and the first three of them."""
    return f"{len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"


def _check_sources(pending: Sequence[WorkItem], inputs: Inputs) -> None:
    needed = {part.path for item in pending for part in item.slice.ranges}
    missing = sorted(needed - inputs.files.keys())
    if missing:
        raise InputError(
            f"unfinished work items need inputs that were not given: {_named(missing)}; "
            "add them to --input"
        )
