"""Fresh parameters: normal weights, zero biases, neutral norms.

Between building a `GLM` and its first training step (glm_facts 2.1).
"""

import math

import torch
from torch import Tensor

from model.transformer import GLM

_RESIDUAL_OUTPUTS = ("attention.output.weight", "feed_forward.output.weight")


def initialize(model: GLM, seed: int) -> None:
    """Set every parameter of `model`; equal seeds give equal bits on every device.

    Weights are N(0, init_std); those that write into the residual sum are divided by
    sqrt(2 x layers), so that its variance does not grow with depth.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_draw(model, name, parameter, generator))


def _draw(model: GLM, name: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(parameter.shape)
    if "norm" in name:
        return torch.ones(parameter.shape)
    std = model.config.init_std
    if name.endswith(_RESIDUAL_OUTPUTS):
        std /= math.sqrt(2 * model.config.num_layers)
    return std * torch.randn(parameter.shape, generator=generator)
