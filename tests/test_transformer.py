"""The GLM as a function: what a hidden state depends on, with and without a cache."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.cache import KeyValueCache
from model.init import initialize
from model.transformer import GLM
from schemas.errors import ConfigError
from schemas.model_config import ModelConfig
from tests.models import TINY, Inputs, packed_inputs, tiny_glm


def alone(packed: Inputs, start: int, length: int, boundary: int) -> Inputs:
    layout = packed_inputs([(length, boundary)], length).layout
    return Inputs(*packed.columns(start, start + length), layout)


@settings(max_examples=settings().max_examples // 3)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=3))
def test_a_packed_sample_gets_the_hidden_states_it_gets_alone(pairs: list[tuple[int, int]]) -> None:
    samples = [(length, min(length, boundary)) for length, boundary in pairs]
    model, packed = tiny_glm(), packed_inputs(samples, row_tokens=20)
    hidden = packed.hidden(model)
    start = 0
    for length, boundary in samples:
        expected = alone(packed, start, length, boundary).hidden(model)
        torch.testing.assert_close(hidden[:, start : start + length], expected)
        start += length


def test_padding_content_does_not_matter() -> None:
    model, packed, other = (
        tiny_glm(),
        packed_inputs([(5, 3)], 9),
        packed_inputs([(5, 3)], 9, seed=2),
    )
    before = packed.hidden(model)
    for padding, noise in zip(packed.columns(5, 9), other.columns(5, 9), strict=True):
        padding.copy_(noise)
    assert torch.equal(packed.hidden(model)[:, :5], before[:, :5])


@pytest.mark.parametrize(("boundary", "changed"), [(0, 4), (3, 4), (6, 0)])
def test_a_token_reaches_those_who_see_it_and_nobody_else(boundary: int, changed: int) -> None:
    model, inputs = tiny_glm(), packed_inputs([(6, boundary)], 6)
    before = inputs.hidden(model)
    inputs.tokens[0, 4] = (inputs.tokens[0, 4] + 1) % TINY.vocab_size
    differs = (inputs.hidden(model) != before).any(dim=-1)[0].tolist()
    assert differs == [False] * changed + [True] * (6 - changed)


@settings(max_examples=settings().max_examples // 3)
@given(st.integers(0, 10), st.sets(st.integers(1, 10)))
def test_encoding_in_pieces_with_a_cache_equals_encoding_at_once(
    boundary: int, cuts: set[int]
) -> None:
    model, inputs = tiny_glm(), packed_inputs([(11, boundary)], 11)
    cache, pieces = KeyValueCache(TINY.num_layers), []
    ends = sorted(cut for cut in cuts if cut >= boundary)
    for start, stop in zip([0, *ends], [*ends, 11], strict=True):
        layout = packed_inputs([(stop, boundary)], stop).layout
        pieces.append(model(*inputs.columns(start, stop), layout, cache))
    assert cache.num_tokens == 11
    torch.testing.assert_close(torch.cat(pieces, dim=1), inputs.hidden(model))


@pytest.mark.parametrize("name", ["dropout", "attention_dropout"])
def test_each_dropout_acts_in_training_mode_only(name: str) -> None:
    off = replace(TINY, dropout=0.0, attention_dropout=0.0)
    model, inputs = tiny_glm(config=replace(off, **{name: 0.5})), packed_inputs([(6, 3)], 6)
    expected = inputs.hidden(tiny_glm(config=off))
    assert torch.equal(inputs.hidden(model), expected)
    torch.manual_seed(1)
    assert not torch.equal(inputs.hidden(model.train()), expected)


def test_the_head_is_the_word_embedding() -> None:
    model, hidden = tiny_glm(), packed_inputs([(4, 2)], 4).hidden(tiny_glm())
    torch.testing.assert_close(model.logits(hidden), hidden @ model.word_embeddings.weight.T)


def test_the_parameter_count_is_that_of_the_published_base_model() -> None:
    config = ModelConfig(vocab_size=30592)
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in GLM(config).parameters())
    assert count == 109_338_624


def test_initialization_follows_the_written_rule() -> None:
    config = ModelConfig(
        num_layers=8, hidden_size=64, num_attention_heads=1, vocab_size=500, init_std=0.02
    )
    model = GLM(config)
    initialize(model, seed=1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            std = 0.02 / 4 if "output" in name else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.1), name


def test_equal_seeds_give_equal_parameters_and_others_do_not() -> None:
    first, second, third = GLM(TINY), GLM(TINY), GLM(TINY)
    for model, seed in ((first, 1), (second, 1), (third, 2)):
        initialize(model, seed)
    for name, parameter in first.state_dict().items():
        assert torch.equal(parameter, second.state_dict()[name])
    assert not torch.equal(first.word_embeddings.weight, third.word_embeddings.weight)


def test_an_open_vocabulary_size_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.vocab_size=0: a model needs its vocabulary"):
        GLM(ModelConfig())
