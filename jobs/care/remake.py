"""Plan tables, tokenizer and splitter made once more from the inputs, where that gives the same.

Used by `repair`. Their configuration is the data set's own `config.toml`; what is made counts only
where it has the hashes that the plan names.
"""

import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.recipe import MadeRecipe, make_recipe
from pipeline.care.damage import DamageList
from pipeline.care.mend_item import read_or_none
from pipeline.care.whole import Whole
from pipeline.care.whole_files import is_intact, read_inputs
from pipeline.inputs import Inputs
from pipeline.plan_tables import PlanReader
from pipeline.planning import cut_inputs
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from schemas.build_config import BuildConfig
from schemas.config import parse_config, to_mapping
from schemas.errors import BlankstreamError, DatasetError, MissingPackageError
from schemas.names import CONFIG_NAME, SPLITTER_NAME, TOKENIZER_FOLDER
from schemas.plan import Generation, Plan, SourceRange

Files = dict[str, str | Path]
Contents = dict[str, bytes]


def stored_config(store: Store, plan: Plan) -> BuildConfig | None:
    """The configuration kept in the data set; None unless it is there and is that of its recipe."""
    try:
        build = tomllib.loads((read_or_none(store, CONFIG_NAME) or b"").decode())["build"]
        config = parse_config(BuildConfig, build, store.where(CONFIG_NAME))
    except (ValueError, KeyError, TypeError):
        return None
    mapping, recipe = to_mapping(config), plan.recipe["build"]
    return config if {key: mapping[key] for key in recipe} == recipe else None


def remade_tables(whole: Whole, files: Files) -> Contents:
    """Content by name of the plan's tables that are damaged, cut once more from `files`.

    Raises `DatasetError` for a table that cannot be made to the same bytes.
    """
    store, config = whole.store, stored_config(whole.store, whole.plan)
    made: Contents = {}
    for one in whole.plan.generations:
        damaged = [
            table.path
            for table in (one.slices, one.inputs)
            if table and not is_intact(DamageList(store), table)
        ]
        if not damaged:
            continue
        with _scratch() as scratch:
            if config and (chosen := _inputs_of(whole, one, files)):
                cut_inputs(scratch, chosen, config, one.first_slice)
            made |= {name: _made(scratch, name, store.where(name)) for name in damaged}
    return made


def _made(scratch: Store, name: str, place: str) -> bytes:
    content = read_or_none(scratch, name)
    if content is None:
        raise DatasetError(
            f"{place}: damaged, and cannot be made again to the same bytes from the inputs given; "
            "give all inputs of the data set as --input, or restore the file from a copy; nothing "
            "was changed"
        )
    return content


def _inputs_of(whole: Whole, generation: Generation, files: Files) -> Files:
    """What `generation` brought in: as its table says, else what no other generation has; empty
    where something is missing."""
    assert generation.inputs
    names = read_inputs(whole.store, generation.inputs)
    if names is None:
        others = {
            name
            for one in whole.plan.generations
            if one.inputs and one != generation
            for name in read_inputs(whole.store, one.inputs) or ()
        }
        names = [name for name in files if name not in others]
    return {name: files[name] for name in names} if set(names) <= files.keys() else {}


def remade_tools(whole: Whole, files: Files) -> Contents:
    """Content by name of tokenizer and splitter, made once more as they were for the first build.

    Raises `DatasetError` where that cannot be done or gives others, `MissingPackageError` where a
    package that it takes is not installed.
    """
    store, plan = whole.store, whole.plan
    config = stored_config(store, plan)
    made = None
    with PlanReader(store, plan) as reader:
        first = plan.generations[0]
        slices = reader.slices(first.first_slice, first.stop_slice)
        ranges = [part for one in slices for part in one.ranges]
        if config and (_is_given(config) or all(part.path in files for part in ranges)):
            made = _recipe_again(config, files, ranges)
    if made is None or made.recipe != plan.recipe:
        raise DatasetError(
            f"{store.place}: tokenizer or splitter is damaged, and cannot be made again to the "
            "same bytes; give all inputs of the first build as --input, or restore "
            f"{TOKENIZER_FOLDER}/ and {SPLITTER_NAME} from a copy (a run trained on the data "
            f"set keeps one of {TOKENIZER_FOLDER}/); nothing was changed"
        )
    return made.files


def _recipe_again(
    config: BuildConfig, files: Files, ranges: list[SourceRange]
) -> MadeRecipe | None:
    """None where the inputs no longer give one; without a package nothing is known of them."""
    try:
        return make_recipe(config, Inputs(files, ()), ranges)
    except MissingPackageError:
        raise
    except BlankstreamError:
        return None


def _is_given(config: BuildConfig) -> bool:
    """Whether nothing was trained, so that no input is needed."""
    return bool(config.tokenizer.path) and config.splitter != "train"


@contextmanager
def _scratch() -> Iterator[LocalStore]:
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        yield LocalStore(Path(name))
