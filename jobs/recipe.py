"""The recipe of a data set: made when it is begun, compared when it goes on.

Stands between the configuration and the plan. Tokenizer and splitter are made once and stored
before the plan that names them; they are never trained again for the same data set.
"""

import json
from collections.abc import Iterable
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
from schemas.errors import DatasetError, InputError
from schemas.names import PLAN_NAME, SPLITTER_NAME, TOKENIZER_FOLDER
from schemas.plan import Plan, SourceRange


def make_recipe(
    config: BuildConfig, inputs: Inputs, ranges: Iterable[SourceRange], store: Store
) -> dict[str, Any]:
    """Make splitter and tokenizer, store them, and return the recipe that names them.

    Raises `DatasetError` when a plan has appeared meanwhile; then nothing is stored.
    """
    needs_sample = config.splitter == "train" or not config.tokenizer.path
    texts = sample_texts(ranges, inputs.files, config) if needs_sample else []
    splitter = prepare_splitter(texts, config)
    tokenizer = prepare_tokenizer(texts, splitter, config)
    check_vocabulary(config, tokenizer.special)
    if store.size(PLAN_NAME) is not None:
        raise begun_elsewhere(store)
    store.replace(SPLITTER_NAME, splitter.to_json().encode())
    for name, content in tokenizer_files(tokenizer, _origin(config)).items():
        store.replace(f"{TOKENIZER_FOLDER}/{name}", content)
    versions = _versions(config, tokenizer)
    return build_recipe(config, tokenizer.describe(), splitter.digest, versions)


def begun_elsewhere(store: Store) -> DatasetError:
    """The message for a folder that was empty and is not any more."""
    return DatasetError(
        f"{store.place}: another build was begun here at the same time; run the same command again "
        "to go on with that one, or build into another folder"
    )


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
        raise DatasetError(
            f"{store.where(name)}: cannot be read ({error}); restore the file or build the data "
            "set anew"
        ) from error
    return origin
