"""Keys and values of tokens already encoded, so that generation encodes each token once.

Filled by the attention of each layer, owned by `generation.py` for the time of one source.

Shapes: B rows, H heads, K tokens so far, D head size.
"""

import torch
from torch import Tensor


class LayerCache:
    """Keys and values (B, H, K, D) of one layer, in the order of the tokens."""

    def __init__(self) -> None:
        self._key_BHKD: Tensor | None = None
        self._value_BHKD: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens encoded so far."""
        return 0 if self._key_BHKD is None else self._key_BHKD.shape[2]

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new tokens; returns those of all tokens, oldest first."""
        if self._key_BHKD is not None and self._value_BHKD is not None:
            key = torch.cat((self._key_BHKD, key), dim=2)
            value = torch.cat((self._value_BHKD, value), dim=2)
        self._key_BHKD, self._value_BHKD = key, value
        return key, value


class KeyValueCache:
    """One `LayerCache` for each layer; empty at first, and never shared between sources."""

    def __init__(self, num_layers: int) -> None:
        self.layers = [LayerCache() for _ in range(num_layers)]

    @property
    def num_tokens(self) -> int:
        """Tokens that every layer has encoded so far."""
        return self.layers[-1].num_tokens
