"""Model and data sets: what is left open is filled in, what cannot work is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.model_fit import check_layer, fit_model
from pipeline.dataset import open_dataset
from schemas.config import Config
from schemas.errors import ConfigError
from tests.trained import TINY_MODEL


def test_the_vocabulary_is_that_of_the_tokenizer_rounded_up(built: Path) -> None:
    dataset = open_dataset(built)
    size = dataset.manifest.tokenizer["vocab_size"]
    assert size % 128
    rounded = fit_model(TINY_MODEL, dataset).vocab_size
    assert rounded == -(-size // 128) * 128
    assert fit_model(replace(TINY_MODEL, vocab_size=1000), dataset).vocab_size == 1000
    with pytest.raises(ConfigError, match=rf"vocab_size=100: .* has {size} tokens; set it to 0"):
        fit_model(replace(TINY_MODEL, vocab_size=100), dataset)


def test_positions_of_every_window_must_fit(built: Path) -> None:
    dataset = open_dataset(built)
    assert fit_model(replace(TINY_MODEL, max_sequence_length=63), dataset)
    with pytest.raises(ConfigError, match=r"=62: .* positions reach 63; set model\.max_sequence"):
        fit_model(replace(TINY_MODEL, max_sequence_length=62), dataset)


def test_a_layer_that_cannot_be_trained_is_refused() -> None:
    check_layer(Config(model=TINY_MODEL))
    with pytest.raises(ConfigError, match=r"model\.layer='glm-130b' cannot be trained yet"):
        check_layer(Config(model=replace(TINY_MODEL, layer="glm-130b")))
