"""Import and export of the official GLM's state dict: its names, and the sizes its shapes tell.

Beside the flow: `from_reference` stands where `init.py` would. The tensors are laid out alike, so
only names change (glm_facts 2.2); `checkpoint.check_tensors` says what does not fit.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from schemas.errors import RunError
from schemas.model_config import ModelConfig

OFFICIAL_HEAD_SIZE = 64
"""Head size of every published GLM; the shapes of the tensors do not tell it."""

_REFERENCE_NAMES = {
    "word_embeddings": "word_embeddings",
    "position_embeddings": "transformer.position_embeddings",
    "block_position_embeddings": "transformer.block_position_embeddings",
    "final_norm": "transformer.final_layernorm",
}
_REFERENCE_LAYER_NAMES = {
    "attention_norm": "input_layernorm",
    "attention.query_key_value": "attention.query_key_value",
    "attention.output": "attention.dense",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.expand": "mlp.dense_h_to_4h",
    "feed_forward.output": "mlp.dense_4h_to_h",
}
_OUR_NAMES = {theirs: ours for ours, theirs in _REFERENCE_NAMES.items()}
_OUR_LAYER_NAMES = {theirs: ours for ours, theirs in _REFERENCE_LAYER_NAMES.items()}
_LAYER_NAME = re.compile(r"(?:transformer\.)?layers\.(\d+)\.(.+)")


def from_reference(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The official state dict under our names; the tensors themselves are shared.

    `RunError` for a name the plain GLM does not have (relative attention, classifier heads, ...).
    """
    return {_our_name(name): tensor for name, tensor in tensors.items()}


def to_reference(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of `from_reference`."""
    return {_reference_name(name): tensor for name, tensor in tensors.items()}


def config_from_reference(
    tensors: Mapping[str, Tensor], num_attention_heads: int | None = None
) -> ModelConfig:
    """The sizes that an official state dict (official names) was built with.

    Without `num_attention_heads`, heads have the official size. Dropouts keep their defaults.
    """
    ours = from_reference(tensors)
    vocab_size, hidden_size = _shape(ours, "word_embeddings.weight")
    num_positions, _ = _shape(ours, "position_embeddings.weight")
    layers = {match[1] for name in tensors if (match := _LAYER_NAME.fullmatch(name))}
    config = ModelConfig(
        num_layers=len(layers),
        hidden_size=hidden_size,
        num_attention_heads=num_attention_heads or max(1, hidden_size // OFFICIAL_HEAD_SIZE),
        max_sequence_length=num_positions - 1,
        vocab_size=vocab_size,
    )
    config.check()
    return config


def _our_name(name: str) -> str:
    return _renamed(name, _OUR_NAMES, _OUR_LAYER_NAMES, "layers")


def _reference_name(name: str) -> str:
    return _renamed(name, _REFERENCE_NAMES, _REFERENCE_LAYER_NAMES, "transformer.layers")


def _renamed(name: str, names: dict[str, str], layer_names: dict[str, str], layers: str) -> str:
    match = _LAYER_NAME.fullmatch(name)
    module, _, kind = (match[2] if match else name).rpartition(".")
    renamed = (layer_names if match else names).get(module)
    if renamed is None or kind not in ("weight", "bias"):
        raise RunError(
            f"tensor '{name}': not part of the plain GLM; only its two-position pre-LN model "
            "can be converted"
        )
    return f"{layers}.{match[1]}.{renamed}.{kind}" if match else f"{renamed}.{kind}"


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    if name not in tensors:
        raise RunError(f"no tensor '{_reference_name(name)}': this is not an official GLM file")
    rows, columns = tensors[name].shape
    return rows, columns
