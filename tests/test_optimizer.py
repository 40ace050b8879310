"""The optimizer: the reference's rates, decay where it belongs, and a state that comes back."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from jobs.optimizer import (
    learning_rate,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
    set_learning_rate,
)
from model.transformer import GLM
from schemas.errors import RunError
from schemas.model_config import ModelConfig
from schemas.train_config import TrainConfig
from tests.models import TINY, packed_inputs, tiny_glm
from tests.oracle import oracle_path


def cosine_cases() -> list[Any]:
    cases = json.loads(oracle_path("schedule_cases.json").read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases if case["style"] == "cosine"]


@pytest.mark.oracle
@pytest.mark.parametrize("case", cosine_cases())
def test_the_rate_is_the_reference_s_at_every_step(case: dict[str, Any]) -> None:
    config = TrainConfig(
        max_steps=case["decay_steps"],
        peak_lr=case["peak"],
        warmup_ratio=case["warmup_fraction"],
        final_lr_ratio=case["final_ratio"],
    )
    for value in case["values"]:
        assert learning_rate(value["step"], config) == pytest.approx(value["rate"], rel=1e-12)


def test_without_warmup_the_first_rate_is_the_peak() -> None:
    config = TrainConfig(max_steps=10, warmup_ratio=0.0, peak_lr=0.5, final_lr_ratio=0.0)
    assert learning_rate(0, config) == 0.5
    assert learning_rate(5, config) == pytest.approx(0.25)
    assert learning_rate(10, config) == learning_rate(1000, config) == 0.0


def test_a_run_of_nothing_but_warmup_ends_at_the_peak() -> None:
    config = TrainConfig(max_steps=10, warmup_ratio=1.0, peak_lr=0.5)
    assert [learning_rate(step, config) for step in (0, 5, 10)] == [0.0, 0.25, 0.5]


def test_biases_and_norms_are_not_decayed_and_embeddings_are() -> None:
    model = tiny_glm()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = make_optimizer(model, TrainConfig(weight_decay=0.5))
    set_learning_rate(optimizer, 0.1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in model.state_dict().items():
        kept = name.endswith("bias") or "norm" in name
        torch.testing.assert_close(value, before[name] * (1.0 if kept else 0.95))


def test_an_update_is_adam_with_decoupled_decay() -> None:
    config = TrainConfig(adam_beta1=0.9, adam_beta2=0.98, adam_epsilon=1e-6, weight_decay=0.1)
    weight = torch.nn.Linear(2, 1, bias=False)
    expected, mean, square = weight.weight.detach().clone(), torch.zeros(1, 2), torch.zeros(1, 2)
    optimizer = make_optimizer(weight, config)
    for step, gradient in enumerate(torch.tensor([[[1.0, -2.0]], [[0.5, 3.0]]]), start=1):
        set_learning_rate(optimizer, 0.01 * step)
        weight.weight.grad = gradient.clone()
        optimizer.step()
        mean, square = 0.9 * mean + 0.1 * gradient, 0.98 * square + 0.02 * gradient**2
        root = (square / (1 - 0.98**step)).sqrt() + 1e-6
        expected = expected * (1 - 0.01 * step * 0.1)
        expected = expected - 0.01 * step * (mean / (1 - 0.9**step)) / root
    torch.testing.assert_close(weight.weight.detach(), expected)


def step_once(model: GLM, optimizer: torch.optim.AdamW) -> None:
    packed_inputs([(6, 3)], 6).hidden(model).square().sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()


def begun() -> tuple[GLM, torch.optim.AdamW]:
    model = tiny_glm()
    optimizer = make_optimizer(model, TrainConfig())
    set_learning_rate(optimizer, 0.01)
    return model, optimizer


def test_an_optimizer_goes_on_bit_for_bit_from_its_tensors() -> None:
    model, optimizer = begun()
    step_once(model, optimizer)
    tensors = {name: value.clone() for name, value in optimizer_tensors(model, optimizer).items()}
    other, restored = begun()
    other.load_state_dict(model.state_dict())
    load_optimizer_tensors(other, restored, tensors, "here")
    step_once(model, optimizer)
    step_once(other, restored)
    found, expected = other.state_dict(), model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_new_optimizer_has_no_tensors() -> None:
    assert optimizer_tensors(*begun()) == {}


def test_the_state_of_another_model_is_refused() -> None:
    model, optimizer = begun()
    step_once(model, optimizer)
    tensors: dict[str, Tensor] = optimizer_tensors(model, optimizer)
    sizes = {field: getattr(TINY, field) for field in TINY.__dataclass_fields__}
    other = GLM(ModelConfig(**(sizes | {"num_layers": 1})))
    with pytest.raises(RunError, match=r"checkpoint-9: .*unknown tensor '\w+/layers\.1\."):
        load_optimizer_tensors(other, make_optimizer(other, TrainConfig()), tensors, "checkpoint-9")
