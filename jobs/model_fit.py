"""Model and data sets: whether the one can read the others, before anything is written.

Used by `train.py`.
"""

import dataclasses
from typing import Any

from jobs.runs import build_section
from pipeline.dataset import Dataset
from schemas.config import Config
from schemas.errors import ConfigError
from schemas.model_config import ModelConfig


def check_layer(config: Config) -> None:
    """Raise `ConfigError` for a layer that cannot be trained."""
    if config.model.layer != "glm":
        raise ConfigError(
            f"model.layer='{config.model.layer}' cannot be trained yet: its data sets can be "
            'built, its layer is not there; set model.layer="glm" for GLM\'s own layer'
        )


def fit_model(config: ModelConfig, dataset: Dataset) -> ModelConfig:
    """`config` with the vocabulary size of the data set's tokenizer where it is left open.

    Raises `ConfigError` for a vocabulary that is too small, and for too few positions where the
    data set's plan says how long its windows are.
    """
    size = int(dataset.manifest.tokenizer["vocab_size"])
    if config.vocab_size == 0:
        rounded = -(-size // config.vocab_multiple) * config.vocab_multiple
        config = dataclasses.replace(config, vocab_size=rounded)
    if config.vocab_size < size:
        raise ConfigError(
            f"model.vocab_size={config.vocab_size}: the tokenizer of {dataset.name} has {size} "
            "tokens; set it to 0 to take its size"
        )
    needed = _max_position(build_section(dataset))
    if needed > config.max_sequence_length:
        raise ConfigError(
            f"model.max_sequence_length={config.max_sequence_length}: {dataset.name} was built "
            f"with windows whose positions reach {needed}; set model.max_sequence_length={needed} "
            "or more, or build with smaller build.window_tokens"
        )
    return config


def _max_position(build: dict[str, Any]) -> int:
    """The highest position or block position that windows of a recipe can lead to; 0: unknown.

    Block positions go furthest where one span takes all of a window but [CLS] and eos; with
    sentinels the position of part B is `window_tokens` itself.
    """
    if not build:
        return 0
    window_tokens = int(build["window_tokens"])
    kinds = {objective["kind"] for objective in build["objective"].values()}
    has_sentinels = build["sentinels"] or "sentinel_spans" in kinds
    block_positions = window_tokens + 1 - build["add_cls"] - build["add_eos"]
    reach: int = max(window_tokens - 1 + has_sentinels, block_positions)
    return reach
