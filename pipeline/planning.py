"""inputs -> plan: group the ranges into slices, name the recipe, compare with an older plan.

Stands between `inputs.py` and the executors.
"""

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.inputs import (
    Inputs,
    size_and_sha256,
    size_of,
)
from schemas.build_config import BuildConfig
from schemas.config import to_mapping
from schemas.errors import InputError
from schemas.plan import Plan, SourceRange
from schemas.samples import SCHEMA_VERSION

_NOT_IN_RECIPE = ("passes", "item_bytes", "max_bad_ratio", "tokenizer", "splitter")


def group_ranges(ranges: Iterable[SourceRange], item_bytes: int) -> list[tuple[SourceRange, ...]]:
    """Consecutive ranges joined until a slice holds at least half of `item_bytes`."""
    groups: list[tuple[SourceRange, ...]] = []
    group: list[SourceRange] = []
    size = 0
    for source in ranges:
        group.append(source)
        size += source.stop - source.start
        if size * 2 >= item_bytes:
            groups.append(tuple(group))
            group, size = [], 0
    return groups + ([tuple(group)] if group else [])


def recipe_libraries(config: BuildConfig, tokenizer_kind: str) -> tuple[str, ...]:
    """Installed libraries whose version can change bytes under `config`, sorted by name.

    `tokenizer_kind` is that of `Tokenizer.describe()`. nltk is not among them: what it trained is
    in the splitter's hash.
    """
    library = "sentencepiece" if tokenizer_kind == "sentencepiece" else "tokenizers"
    detector = ("charset-normalizer",) if config.encoding == "auto" else ()
    return tuple(sorted(("pyarrow", library, *detector)))


def build_recipe(
    config: BuildConfig, tokenizer: dict[str, Any], splitter_digest: str, versions: dict[str, str]
) -> dict[str, Any]:
    """Everything that decides an item's bytes beside the item itself.

    `tokenizer` is `Tokenizer.describe()`; `versions` has those of `recipe_libraries`, of which the
    major and minor numbers count. Python's Unicode tables class the characters of a text.
    """
    build = {key: value for key, value in to_mapping(config).items() if key not in _NOT_IN_RECIPE}
    return {
        "schema_version": SCHEMA_VERSION,
        "build": build,
        "tokenizer": tokenizer,
        "splitter_sha256": splitter_digest,
        "libraries": {name: ".".join(text.split(".")[:2]) for name, text in versions.items()},
        "unicode": unicodedata.unidata_version,
    }


def check_planned(plan: Plan, inputs: Inputs) -> None:
    """Raise `InputError` for an input given again whose content is not what was planned."""
    for known in plan.inputs:
        file = inputs.files.get(known.path)
        if file is None:
            continue
        _, found = size_and_sha256(file)
        if found != known.sha256:
            raise InputError(
                f"{file}: changed since it was planned (SHA-256 {found}, planned {known.sha256}); "
                "restore it, or build into another folder"
            )


def new_inputs(plan: Plan, inputs: Inputs) -> dict[str, str | Path]:
    """Inputs that the plan does not have; `InputError` when a planned one changed its size."""
    planned = {known.path: known for known in plan.inputs}
    for name, file in inputs.files.items():
        if name in planned and (size := size_of(file)) != planned[name].bytes:
            raise InputError(
                f"{file}: {size} bytes, but '{name}' was planned with "
                f"{planned[name].bytes}; a planned input must not change: restore it, give new "
                "text as a new file, or build into another folder"
            )
    return {name: file for name, file in inputs.files.items() if name not in planned}
