"""Special tokens and objectives: what a mask, a start and an end token are called and numbered.

Stands before everything else: the tokenizer provides `SpecialTokens`, the samplers use them, the
shards name the objectives by code.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

IGNORE_INDEX = -100
"""Label of a token that is not predicted, in signed arrays (PyTorch's convention)."""

MASK_TOKENS = {"mask": "[MASK]", "gmask": "[gMASK]", "smask": "[sMASK]"}
"""Field of `SpecialTokens` -> how the mask is written in text given to `blankstream fill`."""


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """Ids of GLM's special tokens in one vocabulary.

    `start` opens a span in part B and `end` is its last label; `mask`, `gmask` and `smask` stand
    for a blank, a document span and a sentence; `noise` (the reference's dBLOCK) replaces inputs of
    part B; `pad` fills rows and is never attended to. `num_sentinels` pairs of a mask and a start
    token stand from `first_sentinel` on, mask first.
    """

    pad: int
    cls: int
    eos: int
    mask: int
    gmask: int
    smask: int
    start: int
    end: int
    noise: int
    first_sentinel: int
    num_sentinels: int = 0

    @property
    def ids_stop(self) -> int:
        """One behind the last sentinel."""
        return self.first_sentinel + 2 * self.num_sentinels

    def mask_id(self, name: str) -> int:
        """Id of the mask token called `name` (a key of `MASK_TOKENS`)."""
        assert name in MASK_TOKENS, name
        return int(getattr(self, name))

    def sentinel(self, index: int) -> tuple[int, int]:
        """(mask, start) of span `index` in the order of part B; span 0 has the plain ones."""
        assert 0 <= index <= self.num_sentinels, index
        if index == 0:
            return self.mask, self.start
        first = self.first_sentinel + 2 * (index - 1)
        return first, first + 1

    @lru_cache(maxsize=64)  # noqa: B019 (frozen and hashed by content; 64 keep nothing large alive)
    def ids(self, vocab_size: int) -> list[int]:
        """All special ids below `vocab_size`, ascending, each once."""
        names = self.to_mapping()
        sentinels = range(self.first_sentinel, self.ids_stop)
        plain = {
            id for name, id in names.items() if name not in ("first_sentinel", "num_sentinels")
        }
        return sorted(id for id in plain | set(sentinels) if 0 <= id < vocab_size)

    def to_mapping(self) -> dict[str, int]:
        """Name -> id, in declaration order."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any]) -> "SpecialTokens":
        """Inverse of `to_mapping`; names it does not know are ignored."""
        return cls(**{name: int(mapping[name]) for name in cls.__dataclass_fields__})
