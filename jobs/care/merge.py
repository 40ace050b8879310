"""`blankstream merge`: data sets of one recipe joined into one, without building anything.

The plan of the result has the generations of the first data set, then those of the second, and so
on, their slices renumbered. Within a split its rows are those of the first data set in their order,
then those of the second: table order is generation, pass, slice. Items keep their ids, so that the
result can grow, be verified and be repaired from the inputs of all.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from jobs.build_place import check_place
from jobs.care.mend_whole import ANY_RATIO
from jobs.care.remake import stored_config
from jobs.disk_errors import disk_error
from jobs.pages.build_pages import write_pages
from jobs.plan_build import read_plan
from pipeline.care.joined_plan import joined_plan
from pipeline.care.mend_item import read_or_none
from pipeline.care.renumber import Renumbering
from pipeline.care.whole import Whole, read_whole
from pipeline.care.whole_files import check_plan_tables, check_tools
from pipeline.finish import claim_version, make_manifest, publish
from pipeline.plan_tables import PlanReader
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from pipeline.survey import Survey
from schemas.build_config import BuildConfig
from schemas.card_config import CardInfo
from schemas.config import differing_keys, parse_config
from schemas.errors import CorruptDataError, DatasetError, UserError
from schemas.manifest import Manifest
from schemas.names import PLAN_NAME, SPLITTER_NAME, TOKENIZER_FOLDER, plan_name
from schemas.plan import Plan

_SHOWN = 3
NO_CARD = CardInfo()

Advance = Callable[[int], None]


def merge_datasets(
    datasets: Sequence[str | Path], output: str | Path, advance: Advance, card: CardInfo = NO_CARD
) -> Manifest:
    """Join `datasets` at `output`, or go on with that; `advance` is told the bytes copied, and
    `card` is what people say of the result.

    The same data sets in the same order give the same bytes. Raises `DatasetError`, before anything
    is written, for data sets of other recipes or other numbers of passes, for an input that two of
    them have, and where `output` cannot be a data set or holds something else; `CorruptDataError`
    for a damaged file; `InputError`, at the end, for a document id that two of them have.
    """
    if len(datasets) < 2:
        raise UserError("merge needs two data sets or more")
    target = open_store(output)
    check_place(target)
    sources = [_source(place) for place in datasets]
    _check_alike(sources)
    _check_apart(sources)
    try:
        return _merged(sources, target, advance, card)
    except OSError as error:
        raise disk_error(target.place, error) from error


def _merged(sources: list[Whole], target: Store, advance: Advance, card: CardInfo) -> Manifest:
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        scratch = LocalStore(Path(name))
        plan = joined_plan([(one.store, one.plan) for one in sources], scratch)
        _begin(target, plan, scratch, sources[0].store)
    target.remove_leftovers()
    with PlanReader(target, plan) as reader:
        _copy_items(sources, target, reader, advance)
        return _finish(sources[0], target, reader, card)


def _source(place: str | Path) -> Whole:
    """A data set whose plan and tools are intact."""
    whole = read_whole(open_store(place))
    check_plan_tables(whole)
    check_tools(whole)
    if whole.found:
        raise CorruptDataError(whole.found[0].text)
    return whole


def _check_alike(sources: list[Whole]) -> None:
    first = sources[0]
    for other in sources[1:]:
        pair = f"{first.store.place} and {other.store.place}"
        if keys := differing_keys(first.plan.recipe, other.plan.recipe):
            raise DatasetError(
                f"{pair}: of two recipes, which cannot be merged. Differing keys:\n  "
                + "\n  ".join(keys)
                + "\nBuild one of them with the recipe of the other (build.tokenizer.path and "
                "build.splitter take those of a data set)"
            )
        if first.plan.passes != other.plan.passes:
            raise DatasetError(
                f"{pair}: {first.plan.passes} and {other.plan.passes} passes; grow one of them by "
                "its own `blankstream build` with the build.passes of the other"
            )


def _check_apart(sources: list[Whole]) -> None:
    """No input is in two data sets: the same would give the same items, and of different ones only
    one can be called by the name."""
    known: dict[str, str] = {}
    same: list[str] = []
    other: list[str] = []
    for whole in sources:
        with PlanReader(whole.store, whole.plan) as reader:
            own = {file.path: file.sha256 for file in reader.inputs()}
        for name in own.keys() & known.keys():
            (same if own[name] == known[name] else other).append(name)
        known |= own
    if other:
        raise _shared(other, "with different content; rename it in one of them and build it anew")
    if same:
        raise _shared(same, "and their items would be there twice; leave one of the data sets out")


def _shared(names: list[str], what: str) -> DatasetError:
    shown = f"{', '.join(sorted(names)[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
    return DatasetError(f"{len(names)} inputs ({shown}) are in two of the data sets, {what}")


def _begin(target: Store, plan: Plan, scratch: Store, first: Store) -> None:
    """Write tools and plan, unless `target` has this very plan."""
    begun = read_plan(target)
    if begun not in (None, plan):
        raise DatasetError(
            f"{target.place}: holds another data set, or a merge of others; give a new or empty "
            "folder as --output"
        )
    for name in (*first.files(TOKENIZER_FOLDER), SPLITTER_NAME):
        _put(target, name, first.read(name))
    for name in scratch.files("plan"):
        _put(target, name, scratch.read(name))
    for name in (plan_name(plan.digest), PLAN_NAME):
        _put(target, name, plan.to_json().encode())


def _put(store: Store, name: str, content: bytes) -> None:
    if read_or_none(store, name) != content:
        store.replace(name, content)


def _copy_items(sources: list[Whole], target: Store, joined: PlanReader, advance: Advance) -> None:
    """Copy every item; items of all sources in their order are those of the joined plan."""
    recipe, news = joined.plan.recipe, joined.items()
    for whole in sources:
        renumbering = Renumbering(whole.store, target, recipe)
        with PlanReader(whole.store, whole.plan) as reader:
            for old in reader.items():
                new = next(news)
                assert new.id == old.id, "items stay what they are"
                advance(renumbering.copy(old, new))


def _finish(first: Whole, target: Store, reader: PlanReader, card: CardInfo) -> Manifest:
    plan = reader.plan
    recipe = parse_config(BuildConfig, plan.recipe["build"], "recipe")
    config = stored_config(first.store, plan) or recipe
    with Survey(target) as survey:
        survey.take(reader.items())
        if survey.lost:
            raise DatasetError(
                f"{target.place}: files of {len(survey.lost)} items got lost, the first is "
                f"{survey.lost[0].name}; run the same command again"
            )
        manifest = make_manifest(target, reader, survey, 0, ANY_RATIO)
        manifest = claim_version(target, manifest)
        said = (replace(config, passes=plan.passes), card)
        write_pages(target, reader, survey, manifest, said)
    publish(target)
    return manifest
