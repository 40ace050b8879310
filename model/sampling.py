"""The next token from the logits: which are allowed, then the best or a drawn one.

The inner step of `generation.py`.

Shapes: V vocabulary.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from schemas.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FillOptions:
    """How blanks are filled. Equal options give equal answers: the draws depend on `seed` alone.

    `max_new_tokens` and `min_new_tokens` count the tokens of one answer, its end excluded.
    Temperature 0 takes the best token; above 0 a token is drawn after temperature, `top_k` (0 =
    all) and `top_p`, in this order. `banned` are ids that are never generated: None bans all
    special tokens but the end and eos, () bans nothing. `vocab_size` bans the ids from there on,
    which pad the model's vocabulary and belong to no token (0 = all ids are tokens).
    """

    max_new_tokens: int = 64
    min_new_tokens: int = 0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    banned: tuple[int, ...] | None = None
    vocab_size: int = 0

    def __post_init__(self) -> None:
        _require(self.max_new_tokens >= 1, "max_new_tokens", self.max_new_tokens, "at least 1")
        _require(self.min_new_tokens >= 0, "min_new_tokens", self.min_new_tokens, "0 or more")
        _require(0 <= self.temperature < math.inf, "temperature", self.temperature, "0 or more")
        _require(self.top_k >= 0, "top_k", self.top_k, "0 (all) or more")
        _require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")
        _require(self.vocab_size >= 0, "vocab_size", self.vocab_size, "0 (all ids) or more")


def next_token(
    logits_V: Tensor, banned: Iterable[int], options: FillOptions, generator: torch.Generator
) -> int:
    """One id that is not banned; a tie of the best goes to the lowest id.

    Computed in float32 on the CPU, so that a device changes no draw but through its logits.
    """
    logits_V = logits_V.float().cpu().clone()
    logits_V[[token for token in banned if 0 <= token < len(logits_V)]] = -math.inf
    if options.vocab_size:
        logits_V[options.vocab_size :] = -math.inf
    if options.temperature == 0:
        return int(logits_V.argmax())
    probabilities_V = _truncated_probabilities(
        (logits_V - logits_V.max()) / options.temperature, options
    )
    return int(torch.multinomial(probabilities_V, 1, generator=generator))


def _truncated_probabilities(logits_V: Tensor, options: FillOptions) -> Tensor:
    """Top-k, then the smallest set of best tokens whose probability reaches `top_p`."""
    sorted_V, order_V = logits_V.sort(descending=True, stable=True)
    if options.top_k:
        sorted_V[options.top_k :] = -math.inf
    probabilities_V = sorted_V.softmax(dim=0)
    before_V = probabilities_V.cumsum(dim=0) - probabilities_V
    probabilities_V[before_V >= options.top_p] = 0
    return torch.zeros_like(probabilities_V).scatter_(0, order_V, probabilities_V)


def _require(holds: bool, name: str, value: float, expected: str) -> None:
    if not holds:
        raise UserError(f"fill option {name}={value}: it must be {expected}")
