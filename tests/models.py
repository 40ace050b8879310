"""A tiny GLM and packed inputs for it, with random values from fixed seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention import Layout
from model.init import initialize
from model.transformer import GLM
from schemas.model_config import ModelConfig
from schemas.objectives import SpecialTokens

TINY = ModelConfig(
    num_layers=2, hidden_size=16, num_attention_heads=2, max_sequence_length=24, vocab_size=32
)
SPECIAL = SpecialTokens(
    pad=0, cls=1, eos=2, mask=3, gmask=4, smask=5, start=6, end=7, noise=8, first_sentinel=-1
)


def tiny_glm(seed: int = 1, config: ModelConfig = TINY) -> GLM:
    """In evaluation mode; weights wide enough that every input matters visibly."""
    model = GLM(config)
    initialize(model, seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator(seed)))
    return model.eval()


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Inputs:
    """One row: int64 tokens, positions and block positions, each (1, L), and its layout."""

    tokens: Tensor
    positions: Tensor
    block_positions: Tensor
    layout: Layout

    def columns(self, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        three = (self.tokens, self.positions, self.block_positions)
        first, second, third = (ids[:, start:stop] for ids in three)
        return first, second, third

    def hidden(self, model: GLM) -> Tensor:
        hidden: Tensor = model(self.tokens, self.positions, self.block_positions, self.layout)
        return hidden


def packed_inputs(samples: Sequence[tuple[int, int]], row_tokens: int, seed: int = 1) -> Inputs:
    """Random ids for samples of (length, boundary), packed into one row, padding random too."""
    ids = torch.randint(
        0, TINY.max_sequence_length + 1, (3, 1, row_tokens), generator=generator(seed)
    )
    lengths, boundaries = torch.tensor(samples).T
    return Inputs(*ids, Layout(lengths=lengths[None], boundaries=boundaries[None]))
