"""One transformer layer: attention and feed-forward, each behind a layer norm, each added back.

`transformer.py` stacks them. Pre-LN with biases everywhere, as GLM has it (GLM paper, section 2.2;
glm_facts 2.1).

Shapes: B rows, L tokens, M hidden size, H heads, D head size (M = H x D).
"""

from torch import Tensor, nn

from model.attention import attend
from model.cache import LayerCache
from schemas.model_config import ModelConfig

FEED_FORWARD_RATIO = 4
"""Inner size of the feed-forward network in hidden sizes."""


class Attention(nn.Module):
    """Multi-head self-attention; one projection holds queries, keys and values in thirds."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.attention_dropout = config.attention_dropout
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_BLM: Tensor, mask: Tensor, cache: LayerCache | None) -> Tensor:
        """(B, L, M) -> (B, L, M); `mask` is (B, 1, L, cached + L), True = seen."""
        projected_BLM = self.query_key_value(hidden_BLM).chunk(3, dim=-1)
        query_BHLD, key_BHLD, value_BHLD = (self._split_heads(part) for part in projected_BLM)
        if cache is not None:
            key_BHLD, value_BHLD = cache.append(key_BHLD, value_BHLD)
        dropout = self.attention_dropout if self.training else 0.0
        heads_BHLD = attend(query_BHLD, key_BHLD, value_BHLD, mask, dropout)
        joined: Tensor = self.dropout(self.output(heads_BHLD.transpose(1, 2).flatten(2)))
        return joined

    def _split_heads(self, projected_BLM: Tensor) -> Tensor:
        rows, row_tokens, _ = projected_BLM.shape
        return projected_BLM.view(rows, row_tokens, self.num_heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Widen, tanh-approximated GELU, narrow."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner_size = FEED_FORWARD_RATIO * config.hidden_size
        self.expand = nn.Linear(config.hidden_size, inner_size)
        self.activation = nn.GELU(approximate="tanh")
        self.output = nn.Linear(inner_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_BLM: Tensor) -> Tensor:
        """(B, L, M) -> (B, L, M)."""
        output_BLM: Tensor = self.dropout(self.output(self.activation(self.expand(hidden_BLM))))
        return output_BLM


class Layer(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        self.feed_forward = FeedForward(config)

    def forward(self, hidden_BLM: Tensor, mask: Tensor, cache: LayerCache | None) -> Tensor:
        """(B, L, M) -> (B, L, M); `mask` as for `Attention`."""
        hidden_BLM = hidden_BLM + self.attention(self.attention_norm(hidden_BLM), mask, cache)
        fed_BLM: Tensor = self.feed_forward(self.feed_forward_norm(hidden_BLM))
        return hidden_BLM + fed_BLM
