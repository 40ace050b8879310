"""Agreement with the official implementation, and conversion of its weights."""

from functools import partial

import pytest
import torch
from torch import Tensor

from model.loss import token_losses
from model.reference import config_from_reference, from_reference, to_reference
from model.transformer import GLM
from schemas.errors import ConfigError, RunError
from schemas.objectives import IGNORE_INDEX
from tests.models import TINY, tiny_glm
from tests.oracle import UNSUPPORTED, layout_of, oracle_path, reference_file

assert_agrees = partial(torch.testing.assert_close, rtol=0.0, atol=1e-5)
SUPPORTED = {"glm_reference.safetensors"}


def hidden_of(model: GLM, case: dict[str, Tensor]) -> Tensor:
    hidden: Tensor = model(
        case["tokens"], case["positions"], case["block_positions"], layout_of(case)
    )
    return hidden


def labels_of(case: dict[str, Tensor]) -> Tensor:
    return case["targets"].masked_fill(case["loss_mask"] == 0, IGNORE_INDEX)


@pytest.mark.oracle
def test_hidden_states_and_logits_agree_with_the_reference() -> None:
    file = reference_file()
    model = file.model()
    assert file.cases
    for name in file.cases:
        case = file.group(name)
        hidden = hidden_of(model, case)
        logits = model.logits(hidden)
        for row, length in enumerate(case["length"].tolist()):
            assert_agrees(logits[row, :length], case["logits"][row, :length])
            if "final_hidden" in case:
                assert_agrees(hidden[row, :length], case["final_hidden"][row, :length])


@pytest.mark.oracle
def test_losses_agree_with_the_reference() -> None:
    file = reference_file()
    model = file.model()
    for name in file.cases_with_loss:
        case = file.group(name)
        result = token_losses(model, hidden_of(model, case), labels_of(case))
        expected = case["token_losses"].flatten()[result.indices]
        assert_agrees(result.losses, expected)
        assert_agrees(result.mean(), case["loss"][0])


@pytest.mark.oracle
def test_every_gradient_agrees_with_the_reference() -> None:
    file = reference_file()
    for name in file.cases_with_loss:
        model, case = file.model(), file.group(name)
        token_losses(model, hidden_of(model, case), labels_of(case)).mean().backward()
        expected = from_reference(file.group(f"{name}/grad"))
        assert expected.keys() == dict(model.named_parameters()).keys()
        for parameter_name, parameter in model.named_parameters():
            assert parameter.grad is not None
            reference = expected[parameter_name]
            difference = (parameter.grad - reference).abs().max()
            assert difference <= 1e-4 * reference.abs().max(), f"{name}: {parameter_name}"


@pytest.mark.oracle
def test_cloze_scores_agree_with_the_reference() -> None:
    file = reference_file()
    model, cloze = file.model(), file.group("cloze")
    for candidate in range(cloze["tokens"].shape[1]):
        case = cloze | {"tokens": cloze["tokens"][:, candidate]}
        result = token_losses(model, hidden_of(model, case), labels_of(case))
        rows = result.indices // case["tokens"].shape[1]
        scores = -torch.zeros(len(case["tokens"])).index_add(0, rows, result.losses)
        per_token = scores / case["loss_mask"].sum(dim=1)
        assert_agrees(scores, cloze["scores"][:, candidate])
        expected = cloze["scores_length_penalty_1"][:, candidate]
        assert_agrees(per_token, expected)


@pytest.mark.oracle
def test_sizes_read_from_the_shapes_are_those_of_the_reference() -> None:
    file = reference_file()
    heads = file.config.num_attention_heads
    assert config_from_reference(file.group("weight"), heads) == file.config


@pytest.mark.oracle
def test_every_reference_model_is_compared_or_listed_as_unsupported() -> None:
    files = {path.name for path in oracle_path(".").glob("*.safetensors")}
    assert files <= SUPPORTED | UNSUPPORTED.keys()


def test_exporting_and_importing_gives_the_same_state_dict_back() -> None:
    ours = tiny_glm().state_dict()
    back = from_reference(to_reference(ours))
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], ours[name]) for name in ours)


def test_the_official_names_are_used() -> None:
    names = to_reference(tiny_glm().state_dict()).keys()
    assert "word_embeddings.weight" in names
    assert "transformer.layers.1.mlp.dense_4h_to_h.bias" in names


def test_the_official_head_size_is_assumed_when_heads_are_not_told() -> None:
    config = config_from_reference(to_reference(tiny_glm().state_dict()))
    assert config.num_attention_heads == 1
    assert config.max_sequence_length == TINY.max_sequence_length


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="hidden_size=16 must be a multiple"):
        config_from_reference(to_reference(tiny_glm().state_dict()), num_attention_heads=3)


@pytest.mark.parametrize(
    "name",
    ["transformer.r_w_bias", "transformer.layers.0.attention.relative.weight", "pool_layer.weight"],
)
def test_a_tensor_of_another_variant_is_named(name: str) -> None:
    with pytest.raises(RunError, match=f"tensor '{name}': not part of the plain GLM"):
        from_reference({name: torch.zeros(1)})


def test_a_file_without_embeddings_is_refused() -> None:
    with pytest.raises(RunError, match=r"no tensor 'word_embeddings\.weight'"):
        config_from_reference({"transformer.final_layernorm.weight": torch.ones(2)})
