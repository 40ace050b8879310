"""What a worker loads once per data set: configuration, tokenizer, splitter, rules, engine.

Stands between the recipe and the builders of splits.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline.assemble import Rules
from pipeline.engines.choice import choose_engine
from pipeline.objectives import rules_of
from pipeline.sentences import Splitter, load_splitter
from pipeline.stores.choice import local_folder, open_store
from pipeline.stores.store import Store
from pipeline.tokens import open_tokenizer
from pipeline.vocabularies.tokenizer import Tokenizer
from pipeline.window_batch import Engine
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import DamagedError, InputError
from schemas.names import SPLITTER_NAME, TOKENIZER_FOLDER
from schemas.plan import PLAN_REMEDY
from schemas.samples import RowFormat, row_format_of


@dataclass(frozen=True)
class Tools:
    """The recipe's build section and what it names; `rules` are by the objectives' names."""

    config: BuildConfig
    tokenizer: Tokenizer
    splitter: Splitter
    row_format: RowFormat
    rules: tuple[Rules, ...]
    engine: Engine


@lru_cache(maxsize=2)
def load_tools(dataset: str, recipe_json: str) -> Tools:
    """Tokenizer and splitter of the data set at a path or URL, checked against the recipe."""
    recipe = json.loads(recipe_json)
    config = parse_config(BuildConfig, recipe["build"], "recipe")
    tokenizer, splitter = open_tools(open_store(dataset), recipe)
    rules = tuple(
        rules_of(config, name, tokenizer.special, tokenizer.vocab_size)
        for name in sorted(config.objective)
    )
    return Tools(config, tokenizer, splitter, row_format_of(recipe), rules, choose_engine())


def open_tools(store: Store, recipe: dict[str, Any]) -> tuple[Tokenizer, Splitter]:
    """Tokenizer and splitter of a data set; `DatasetError` when they are not those planned."""
    tokenizer = _stored_tokenizer(store)
    try:
        with store.local(SPLITTER_NAME) as path:
            splitter = load_splitter(path)
    except (InputError, FileNotFoundError) as error:
        place = store.where(SPLITTER_NAME)
        raise DamagedError(f"{place}: cannot be read ({error}); {PLAN_REMEDY}") from error
    for name, found, planned in (
        (TOKENIZER_FOLDER, tokenizer.digest, recipe["tokenizer"]["model_sha256"]),
        (SPLITTER_NAME, splitter.digest, recipe["splitter_sha256"]),
    ):
        if found != planned:
            raise DamagedError(
                f"{store.where(name)}: damaged: SHA-256 {found}, planned {planned}; {PLAN_REMEDY}"
            )
    return tokenizer, splitter


def _stored_tokenizer(store: Store) -> Tokenizer:
    try:
        with local_folder(store, TOKENIZER_FOLDER) as folder:
            return open_tokenizer(folder)
    except FileNotFoundError as error:
        raise DamagedError(f"{store.where(TOKENIZER_FOLDER)}: missing; {PLAN_REMEDY}") from error
