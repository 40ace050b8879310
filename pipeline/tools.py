"""What a worker loads once per data set: configuration, tokenizer, splitter, rules, engine.

Stands between the recipe and the builders of splits.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.assemble import Rules
from pipeline.engines.choice import choose_engine
from pipeline.objectives import rules_of
from pipeline.sentences import Splitter, load_splitter
from pipeline.tokens import open_tokenizer
from pipeline.vocabularies.tokenizer import Tokenizer
from pipeline.window_batch import Engine
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import DatasetError, InputError
from schemas.manifest import SPLITTER_NAME, TOKENIZER_FOLDER
from schemas.samples import RowFormat, row_format_of

_RESTORE = "restore it from a copy, or build into another folder"


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
def load_tools(dataset: Path, recipe_json: str) -> Tools:
    """Tokenizer and splitter of the data set, checked against the hashes in the recipe."""
    recipe = json.loads(recipe_json)
    config = parse_config(BuildConfig, recipe["build"], "recipe")
    tokenizer, splitter = open_tools(dataset, recipe)
    rules = tuple(
        rules_of(config, name, tokenizer.special, tokenizer.vocab_size)
        for name in sorted(config.objective)
    )
    return Tools(config, tokenizer, splitter, row_format_of(recipe), rules, choose_engine())


def open_tools(dataset: Path, recipe: dict[str, Any]) -> tuple[Tokenizer, Splitter]:
    """Tokenizer and splitter of a data set; `DatasetError` when they are not those planned."""
    tokenizer = open_tokenizer(dataset / TOKENIZER_FOLDER)
    try:
        splitter = load_splitter(dataset / SPLITTER_NAME)
    except InputError as error:
        raise DatasetError(f"{error}; {_RESTORE}") from error
    for name, found, planned in (
        ("tokenizer", tokenizer.digest, recipe["tokenizer"]["model_sha256"]),
        ("splitter", splitter.digest, recipe["splitter_sha256"]),
    ):
        if found != planned:
            raise DatasetError(
                f"{dataset}: the {name} is damaged: SHA-256 {found}, planned {planned}; {_RESTORE}"
            )
    return tokenizer, splitter
