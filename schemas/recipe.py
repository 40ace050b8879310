"""What every reader of a plan takes from its recipe, checked where the plan is read.

Stands below `schemas/plan.py`. `pipeline/planning.py` writes the recipe; what else it holds only
decides whether two builds are of the same one.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from schemas.build_config import BuildConfig
from schemas.checked import Limits, parse
from schemas.config import parse_config


@dataclass(frozen=True)
class _Tokenizer:
    vocab_size: Annotated[int, Limits(1, 2**31 - 1)]
    model_sha256: str


@dataclass(frozen=True)
class _Build:
    row_tokens: int
    max_samples: int
    shard_format: str
    objective: dict[str, Any]


@dataclass(frozen=True)
class _Recipe:
    build: _Build
    tokenizer: _Tokenizer
    splitter_sha256: str


def check_recipe(recipe: Any) -> None:
    """Raise `ValueError` unless the build section is one and the tools are named."""
    parse(_Recipe, recipe)
    parse_config(BuildConfig, recipe["build"], "recipe").check()
