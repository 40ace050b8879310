"""Special tokens and objectives: what a mask, a start and an end token are called and numbered.

Stands before everything else: the tokenizer provides `SpecialTokens`, the samplers use them, the
shards name the objectives by code.
"""

from dataclasses import asdict, dataclass
from typing import Any

IGNORE_INDEX = -100
"""Label of a token that is not predicted, in signed arrays (PyTorch's convention)."""

MASK_TOKENS = {"mask": "[MASK]", "gmask": "[gMASK]", "smask": "[sMASK]"}
"""Field of `SpecialTokens` -> how the mask is written in text given to `blankstream fill`."""


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """Ids of GLM's special tokens in one vocabulary.

    `start` opens a span in part B and `end` is its last label; `mask`, `gmask` and `smask` stand
    for a blank, a document span and a sentence; `pad` fills rows and is never attended to.
    """

    pad: int
    cls: int
    eos: int
    mask: int
    gmask: int
    smask: int
    start: int
    end: int

    def mask_id(self, name: str) -> int:
        """Id of the mask token called `name` (a key of `MASK_TOKENS`)."""
        assert name in MASK_TOKENS, name
        return int(getattr(self, name))

    def to_mapping(self) -> dict[str, int]:
        """Name -> id, in declaration order."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any]) -> "SpecialTokens":
        """Inverse of `to_mapping`; names it does not know are ignored."""
        return cls(**{name: int(mapping[name]) for name in cls.__dataclass_fields__})
