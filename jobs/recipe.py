"""The recipe of a data set: made when it is begun, compared when it goes on.

Stands between the configuration and the plan. Tokenizer and splitter are made once and stored
behind the first plan, which names their hashes and which only one build can make; other tools than
those are never used for the data set.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.checks import check_vocabulary
from pipeline.inputs import Inputs
from pipeline.planning import build_recipe, recipe_libraries
from pipeline.preparation import prepare_splitter, prepare_tokenizer, sample_texts
from pipeline.sentences import Splitter, load_splitter
from pipeline.stores.store import Store
from pipeline.tokens import DESCRIPTION_NAME, load_tokenizer, tokenizer_files
from pipeline.tools import open_tools
from pipeline.vocabularies.tokenizer import Tokenizer
from schemas.build_config import BuildConfig
from schemas.config import differing_keys, to_mapping
from schemas.errors import DamagedError, DatasetError, InputError
from schemas.names import SPLITTER_NAME, TOKENIZER_FOLDER
from schemas.plan import PLAN_REMEDY, Plan, SourceRange


@dataclass(frozen=True)
class MadeRecipe:
    """A recipe, and the files of the splitter and the tokenizer that it names."""

    recipe: dict[str, Any]
    files: dict[str, bytes]


def make_recipe(config: BuildConfig, inputs: Inputs, ranges: Iterable[SourceRange]) -> MadeRecipe:
    """Make splitter and tokenizer, and the recipe that names them; nothing is written."""
    needs_sample = config.splitter == "train" or not config.tokenizer.path
    texts = sample_texts(ranges, inputs.files, config) if needs_sample else []
    splitter = prepare_splitter(texts, config)
    tokenizer = prepare_tokenizer(texts, splitter, config)
    check_vocabulary(config, tokenizer.special)
    files = {SPLITTER_NAME: splitter.to_json().encode()}
    for name, content in tokenizer_files(tokenizer, _origin(config)).items():
        files[f"{TOKENIZER_FOLDER}/{name}"] = content
    versions = _versions(config, tokenizer)
    recipe = build_recipe(config, tokenizer.describe(), splitter.digest, versions)
    return MadeRecipe(recipe, files)


def write_tools(store: Store, made: MadeRecipe) -> None:
    """Store splitter and tokenizer; the description comes last and says that they are there."""
    for name, content in made.files.items():
        store.replace(name, content)


def has_tools(store: Store) -> bool:
    """Whether `write_tools` came to its end."""
    return store.size(f"{TOKENIZER_FOLDER}/{DESCRIPTION_NAME}") is not None


def _origin(config: BuildConfig) -> dict[str, Any]:
    """How splitter and tokenizer came to be, without any path of this machine."""
    tokenizer = to_mapping(config.tokenizer)
    given = Path(config.splitter).name if config.splitter != "train" else "train"
    return tokenizer | {"path": Path(config.tokenizer.path).name, "splitter": given}


def _versions(config: BuildConfig, tokenizer: Tokenizer) -> dict[str, str]:
    return {name: version(name) for name in recipe_libraries(config, tokenizer.kind)}


def check_recipe(plan: Plan, config: BuildConfig, store: Store) -> None:
    """Raise `DatasetError` naming the keys in which `config` differs from the data set."""
    tokenizer, splitter = open_tools(store, plan.recipe)
    origin = tokenizer_origin(store)
    if config.tokenizer.path:
        tokenizer = load_tokenizer(Path(config.tokenizer.path), config.tokenizer)
    if config.splitter != "train":
        splitter = _asked_splitter(config, origin) or splitter
    versions = _versions(config, tokenizer)
    recipe = build_recipe(config, tokenizer.describe(), splitter.digest, versions)
    differences = differing_keys(plan.recipe, recipe)
    differences += differing_keys(origin, _origin(config), "build.tokenizer")
    refuse_differences(store, differences)


def refuse_differences(store: Store, differences: list[str]) -> None:
    """Raise `DatasetError` naming the keys, if there are any."""
    if differences:
        raise DatasetError(
            f"{store.place}: was begun with another recipe; a data set has only one. Differing "
            "keys:\n  " + "\n  ".join(differences) + "\nBuild into another folder, ask for the "
            "recipe of this one, or delete it first"
        )


def _asked_splitter(config: BuildConfig, origin: dict[str, Any]) -> Splitter | None:
    """The splitter that is asked for again; None where a language's tables are no longer there."""
    try:
        return load_splitter(config.splitter, by=config.splitter_by)
    except InputError:
        if origin["splitter"] != config.splitter:
            raise
        return None


def tokenizer_origin(store: Store) -> dict[str, Any]:
    """What `_origin` said when the data set was begun."""
    name = f"{TOKENIZER_FOLDER}/{DESCRIPTION_NAME}"
    try:
        origin: dict[str, Any] = json.loads(store.read(name))["trained"]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{store.where(name)}: cannot be read ({error}); {PLAN_REMEDY}"
        ) from error
    return origin
