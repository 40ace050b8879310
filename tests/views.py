"""Samples as inspection sees them, made of chosen words, and what the terminal shows of them."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from jobs.inspect_terminal import render_row
from jobs.sample_view import Origin, RowView, SampleView, view_sample
from pipeline.assemble import Rules
from pipeline.objectives import OBJECTIVES, corrupt
from pipeline.vocabularies.layouts import PIECES, Vocabulary
from pipeline.vocabularies.tokenizer import Tokenizer, Tokens
from schemas.build_config import ObjectiveConfig
from schemas.samples import Window
from tests import strategies
from tests.strategies import SPECIAL, VOCAB_SIZE

HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "\0",
    "\u202eright to left\u2066",
    "\x1b[31mred\x9b",
    "&amp;",
    "\u2028",
    "中文",
]
ACTING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
ORIGIN = Origin("doc<1>", "in/a&b.jsonl", 10, 99, 2, 0, 60)


class Words(Tokenizer):
    """Ids 9, 10, ... are the given texts, over and over; specials as in `strategies.SPECIAL`."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        controls = {piece: getattr(SPECIAL, name) for name, piece in PIECES.items()}
        vocabulary = Vocabulary("words", SPECIAL.first_sentinel, controls.get, controls)
        super().__init__(vocabulary, {}, "", sentinels=SPECIAL.num_sentinels)
        assert (self.special, self.vocab_size) == (SPECIAL, VOCAB_SIZE)

    def encode(self, units: Sequence[str]) -> Tokens:
        raise NotImplementedError

    def _decode_pieces(self, ids: list[int]) -> str:
        return "".join(map(self._piece, ids))

    def _piece(self, token: int) -> str:
        return self._texts[(token - strategies.FIRST_TEXT_TOKEN) % len(self._texts)]


WORDS = Words([f" w{number}" for number in range(50)])


def window_of(length: int) -> Window:
    tokens = (np.arange(length - 2) % 50 + strategies.FIRST_TEXT_TOKEN).tolist()
    ids = np.array([SPECIAL.cls, *tokens, SPECIAL.eos], np.int32)
    return Window(ids, 1, length - 1, np.arange(8, length, 7), 0, 0, length - 2)


def view_of(
    objective: ObjectiveConfig, length: int = 40, tokenizer: Tokenizer = WORDS
) -> SampleView:
    rules = Rules(objective, SPECIAL, VOCAB_SIZE, 4096)
    sample = corrupt(window_of(length), rules, 5, shuffle=True)
    return view_sample(sample, "name", rules, ORIGIN, tokenizer)


def row_of(*samples: SampleView, padding: int = 3) -> RowView:
    size = sum(sample.length for sample in samples) + padding
    return RowView("data", 3, "train", "shards/x.arrow", 1, 0, size, samples)


def printed(view: RowView, everything: bool = False) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(render_row(view, everything))
    return capture.get()


EVERY_KIND = [ObjectiveConfig(kind=kind, mask_ratio=0.3) for kind in OBJECTIVES]
every_kind = pytest.mark.parametrize("objective", EVERY_KIND, ids=lambda one: one.kind)
