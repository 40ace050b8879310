"""Where GLM's special tokens stand in a vocabulary: one table, and the rule for all others.

Stands between a tokenizer's own vocabulary and `SpecialTokens`; docs/tokenizers.md prints it.
Source of the ids: THUDM/GLM, data_utils/tokenization.py at 4f61ed7.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.errors import ConfigError
from schemas.objectives import SpecialTokens

PIECES = {
    "pad": "<pad>",
    "cls": "[CLS]",
    "eos": "<eos>",
    "mask": "[MASK]",
    "gmask": "[gMASK]",
    "smask": "[sMASK]",
    "start": "<sop>",
    "end": "<eop>",
    "noise": "[dBLOCK]",
}
"""Special token -> its piece. Text that spells one is never one."""

OWN = "own"
"""The layout of every vocabulary that the table does not know."""


@dataclass(frozen=True)
class Vocabulary:
    """What a layout looks at: ids `0..size` that the tokenizer gives by itself.

    `controls` holds those of `PIECES` that the vocabulary has as pieces no text becomes; `unknown`
    is what it makes of text it has no pieces for, None where it has pieces for everything.
    """

    kind: str
    size: int
    find: Callable[[str], int | None]
    controls: Mapping[str, int]
    unknown: int | None = None


@dataclass(frozen=True, kw_only=True)
class TokenLayout:
    """Ids over a vocabulary of `kind` and `size` that has the pieces `marks` at their ids.

    The names in `behind_sentinels` are numbered behind the sentinel pairs, the others are in `ids`;
    `reserved` ids are left free. `row_copies` are the (from, to) rows of a released model's
    embedding that must be copied, in this order, before it fits the layout.
    """

    kind: str
    size: int
    marks: Mapping[str, int]
    ids: Mapping[str, int]
    reserved: tuple[int, ...] = ()
    behind_sentinels: tuple[str, ...] = ()
    row_copies: tuple[tuple[int, int], ...] = ()

    def fits(self, vocabulary: Vocabulary) -> bool:
        """Whether the ids mean in `vocabulary` what the table says."""
        same = (vocabulary.kind, vocabulary.size) == (self.kind, self.size)
        return same and all(vocabulary.find(piece) == at for piece, at in self.marks.items())

    def special(self, sentinels: int) -> SpecialTokens:
        """The ids with so many pairs of sentinels behind the largest id of the table."""
        first = 1 + max(self.size - 1, *self.ids.values(), *self.reserved)
        behind = {
            name: first + 2 * sentinels + place for place, name in enumerate(self.behind_sentinels)
        }
        return SpecialTokens(**self.ids, **behind, first_sentinel=first, num_sentinels=sentinels)


_BERT_MARKS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
_BERT_IDS = {"pad": 0, "cls": 101, "eos": 0, "mask": 103, "start": 30522, "end": 30523}
_CHINESE_MARKS = {"<unk>": 0, "<s>": 1, "</s>": 2, "<n>": 3, "一个": 6}
_CHINESE_IDS = {
    "pad": 50000,
    "cls": 50002,
    "eos": 50000,
    "mask": 50003,
    "gmask": 50009,
    "smask": 50008,
    "start": 50006,
    "end": 50007,
    "noise": 50010,
}

LAYOUTS = {
    "bert": TokenLayout(
        kind="wordpiece",
        size=30522,
        marks=_BERT_MARKS,
        ids=_BERT_IDS | {"gmask": 30524, "smask": 30525, "noise": 30526},
    ),
    "bert-sentinels": TokenLayout(
        kind="wordpiece",
        size=30522,
        marks=_BERT_MARKS,
        ids=_BERT_IDS,
        behind_sentinels=("gmask", "smask", "noise"),
    ),
    "gpt2": TokenLayout(
        kind="bpe",
        size=50257,
        marks={"<|endoftext|>": 50256},
        ids={
            "pad": 50256,
            "cls": 50259,
            "eos": 50256,
            "mask": 50260,
            "gmask": 50263,
            "smask": 50264,
            "start": 50257,
            "end": 50258,
            "noise": 50265,
        },
        reserved=(50261, 50262),
    ),
    "roberta": TokenLayout(
        kind="bpe",
        size=50265,
        marks={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 50264},
        ids={
            "pad": 2,
            "cls": 0,
            "eos": 2,
            "mask": 50264,
            "gmask": 50267,
            "smask": 50268,
            "start": 50265,
            "end": 50266,
            "noise": 50269,
        },
    ),
    "chinese": TokenLayout(
        kind="sentencepiece",
        size=50000,
        marks=_CHINESE_MARKS,
        ids=_CHINESE_IDS,
        reserved=(50001, 50004, 50005),
    ),
    "chinese-10b": TokenLayout(
        kind="sentencepiece",
        size=50000,
        marks=_CHINESE_MARKS,
        ids=_CHINESE_IDS,
        reserved=(50001, 50004, 50005),
        row_copies=((50009, 50010), (50007, 50009)),
    ),
}
"""Name -> layout; the first that fits is taken where none is named.

`chinese-10b`: the released model was trained with one id, 50007, for both the end token and
[gMASK], and with dBLOCK at 50009. Two tokens with one id cannot be told apart, so the layout has
the ids of `chinese`, and `row_copies` says which rows give them the weights they were trained with.
"""


def lay_out(vocabulary: Vocabulary, name: str, sentinels: int) -> tuple[str, SpecialTokens]:
    """The layout `name`, or the one that fits when `name` is empty, and its ids.

    Ids never belong to a piece that text can become. Raises `ConfigError` for an unknown name and
    for a layout that the vocabulary does not fit.
    """
    name = name or next((key for key, one in LAYOUTS.items() if one.fits(vocabulary)), OWN)
    if name == OWN:
        return name, _behind(vocabulary, sentinels)
    if name not in LAYOUTS:
        raise ConfigError(
            f"build.tokenizer.layout is '{name}'; choose from {', '.join([*LAYOUTS, OWN])}, or "
            "leave it empty for the one that fits"
        )
    layout = LAYOUTS[name]
    if not layout.fits(vocabulary):
        marks = ", ".join(f"{piece} at {at}" for piece, at in layout.marks.items())
        raise ConfigError(
            f"build.tokenizer.layout='{name}' expects {layout.kind} with {layout.size:,} pieces "
            f"and {marks}; the tokenizer is {vocabulary.kind} with {vocabulary.size:,}. Use "
            f"another tokenizer, or the layout '{OWN}'"
        )
    return name, layout.special(sentinels)


def _behind(vocabulary: Vocabulary, sentinels: int) -> SpecialTokens:
    """Pieces the vocabulary lacks get the ids behind it, in the order of `PIECES`."""
    ids, size = {}, vocabulary.size
    for name, piece in PIECES.items():
        ids[name] = vocabulary.controls.get(piece, size)
        size += piece not in vocabulary.controls
    return SpecialTokens(**ids, first_sentinel=size, num_sentinels=sentinels)
