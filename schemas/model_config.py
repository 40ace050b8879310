"""The model section: the sizes of one GLM (Du et al. 2022, arXiv:2103.10360)."""

from dataclasses import dataclass

from schemas.errors import ConfigError
from schemas.fields import bounded, choice


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and dropout of one GLM.

    Both position tables have `max_sequence_length + 1` rows. `vocab_size` 0 means: taken from the
    data set's tokenizer, rounded up to a multiple of `vocab_multiple`. `layer` is "glm"; data sets
    for "glm-130b" can be built, but no such layer is trained yet.
    """

    layer: str = choice("glm", "glm", "glm-130b")
    num_layers: int = bounded(12, 1, 1000)
    hidden_size: int = bounded(768, 1)
    num_attention_heads: int = bounded(12, 1)
    max_sequence_length: int = bounded(512, 1)
    vocab_size: int = bounded(0, 0)
    vocab_multiple: int = bounded(128, 1)
    dropout: float = bounded(0.1, 0.0, 0.9)
    attention_dropout: float = bounded(0.0, 0.0, 0.9)
    layernorm_epsilon: float = bounded(1e-5, 0.0, 0.1)
    init_std: float = bounded(0.02, 0.0, 1.0)

    def check(self) -> None:
        """Heads must divide the hidden size."""
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"model.hidden_size={self.hidden_size} must be a multiple of "
                f"model.num_attention_heads={self.num_attention_heads}"
            )
