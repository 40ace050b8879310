"""The GLM: tokens and their two positions -> hidden states -> logits.

Takes what the stream delivers (tokens, positions, block positions, layout) and hands hidden states
to `loss.py` in training and to `generation.py` when blanks are filled. The architecture is that of
the GLM paper (section 2.2) and of the official weights (glm_facts 2.1).

Shapes: B rows, L tokens, M hidden size, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.attention import Layout, dense_mask
from model.cache import KeyValueCache
from model.layers import Layer
from schemas.errors import ConfigError
from schemas.model_config import ModelConfig


class GLM(nn.Module):
    """A bidirectional encoder of part A and a left-to-right decoder of part B in one network.

    Its parameters mean nothing until `init.initialize` or `checkpoint.load_model` has set them.
    `ConfigError` when the vocabulary size is still open or the heads do not divide the hidden size.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        config.check()
        if config.vocab_size < 1:
            raise ConfigError(
                f"model.vocab_size={config.vocab_size}: a model needs its vocabulary size; "
                "take it from the data set's tokenizer or set it"
            )
        self.config = config
        num_positions = config.max_sequence_length + 1
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(num_positions, config.hidden_size)
        self.block_position_embeddings = nn.Embedding(num_positions, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)

    @property
    def device(self) -> torch.device:
        """Where the parameters are, and the inputs have to be."""
        return self.word_embeddings.weight.device

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        block_positions: Tensor,
        layout: Layout,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Hidden states (B, L, M) after the final norm; a token's depend on what it sees alone.

        The first three are integers (B, L). With a cache they are the *new* tokens, and `layout`
        describes the whole rows: those in the cache, then the new ones. A row must not continue a
        part A that is already in the cache, since its tokens have not seen what would be added.
        """
        num_cached = 0 if cache is None else cache.num_tokens
        mask = dense_mask(layout, num_cached + tokens.shape[1], first_query=num_cached)
        hidden_BLM = self.dropout(
            self.word_embeddings(tokens)
            + self.position_embeddings(positions)
            + self.block_position_embeddings(block_positions)
        )
        for index, layer in enumerate(self.layers):
            hidden_BLM = layer(hidden_BLM, mask, None if cache is None else cache.layers[index])
        final_BLM: Tensor = self.final_norm(hidden_BLM)
        return final_BLM

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., M) -> (..., V) through the word embeddings themselves: a tied head, no bias."""
        return functional.linear(hidden, self.word_embeddings.weight)
