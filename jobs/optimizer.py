"""AdamW and its learning rate: gradients -> new parameters.

Used by `train_step.py` after the gradients of a batch are complete. Nothing here remembers a step:
the rate is a function of the step, and the moments are handed to the checkpoint by name.
"""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from model.checkpoint import check_tensors
from schemas.train_config import TrainConfig

_SCALAR_STATE = "step"
_TENSOR_STATES = ("exp_avg", "exp_avg_sq")


def learning_rate(step: int, config: TrainConfig) -> float:
    """Rate of update number `step`, counted from 0, so that a warmup begins with rate 0.

    Linear up to `warmup_ratio` x `max_steps`, then half a cosine down to `final_lr_ratio` of the
    peak at `max_steps`; constant from there on. The reference's rule (glm_facts 3.2).
    """
    warmup_steps = config.warmup_ratio * config.max_steps
    if warmup_steps > 0 and step <= warmup_steps:
        return config.peak_lr * step / warmup_steps
    decay_steps = config.max_steps - warmup_steps
    progress = min(1.0, (step - warmup_steps) / decay_steps) if decay_steps > 0 else 1.0
    height = (1 + math.cos(math.pi * progress)) / 2
    return config.peak_lr * (config.final_lr_ratio + (1 - config.final_lr_ratio) * height)


def make_optimizer(model: nn.Module, config: TrainConfig) -> AdamW:
    """AdamW over the parameters of `model`; biases and norms are not decayed, embeddings are.

    The learning rate is 0 until `set_learning_rate` is called. One fused kernel on CUDA.
    """
    named = list(_in_order_of_groups(model))
    decayed = [parameter for name, parameter in named if _is_decayed(name)]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": [parameter for _, parameter in named[len(decayed) :]], "weight_decay": 0.0},
    ]
    betas = (config.adam_beta1, config.adam_beta2)
    fused = next(model.parameters()).is_cuda
    return AdamW(groups, lr=0.0, betas=betas, eps=config.adam_epsilon, fused=fused)


def set_learning_rate(optimizer: AdamW, rate: float) -> None:
    """Use `rate` for all parameters in the next update."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_tensors(model: nn.Module, optimizer: AdamW) -> dict[str, Tensor]:
    """The state of `optimizer` as `<kind>/<parameter name>` -> tensor; empty before an update."""
    return {
        f"{kind}/{name}": value
        for name, parameter in _in_order_of_groups(model)
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_tensors(
    model: nn.Module, optimizer: AdamW, tensors: Mapping[str, Tensor], place: str
) -> None:
    """Inverse of `optimizer_tensors`; `RunError` naming `place` when they are of another model."""
    named = list(_in_order_of_groups(model))
    expected: dict[str, Tensor] = {
        f"{kind}/{name}": value for kind in _TENSOR_STATES for name, value in named
    }
    expected |= {f"{_SCALAR_STATE}/{name}": torch.tensor(0.0) for name, _ in named}
    check_tensors(tensors, expected, place)
    state = optimizer.state_dict()
    state["state"] = {
        index: {kind: tensors[f"{kind}/{name}"] for kind in (_SCALAR_STATE, *_TENSOR_STATES)}
        for index, (name, _) in enumerate(named)
    }
    optimizer.load_state_dict(state)


def _is_decayed(name: str) -> bool:
    return not name.endswith("bias") and "norm" not in name


def _in_order_of_groups(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters with their names, numbered as the optimizer's own state numbers them."""
    named = list(model.named_parameters())
    yield from (pair for pair in named if _is_decayed(pair[0]))
    yield from (pair for pair in named if not _is_decayed(pair[0]))
