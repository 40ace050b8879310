"""Hypothesis generators: windows, objectives and keys as the build meets them."""

import itertools

import numpy as np
from hypothesis import strategies as st

from schemas.build_config import ObjectiveConfig
from schemas.objectives import SpecialTokens
from schemas.samples import Span, Window

SPECIAL = SpecialTokens(pad=0, cls=1, eos=2, mask=3, gmask=4, smask=5, start=6, end=7)
FIRST_TEXT_TOKEN = 8

KEYS = st.integers(0, 2**64 - 1)

OBJECTIVES = st.sampled_from(
    [
        ObjectiveConfig(kind="blank"),
        ObjectiveConfig(kind="blank", mask_ratio=0.5, mean_span_tokens=12.0),
        ObjectiveConfig(kind="blank", mask_ratio=0.5, max_span_tokens=1),
        ObjectiveConfig(kind="sentence", mask="smask"),
        ObjectiveConfig(kind="document", mask="gmask"),
        ObjectiveConfig(kind="document", mask="gmask", min_span_ratio=0.0),
        ObjectiveConfig(kind="masked_lm"),
    ]
)


@st.composite
def windows(draw: st.DrawFn, min_maskable: int = 2, max_maskable: int = 300) -> Window:
    """A window of any length, framed or not, with sentence ends anywhere."""
    length = draw(st.integers(min_maskable, max_maskable))
    cls, eos = draw(st.booleans()), draw(st.booleans())
    cuts = draw(st.sets(st.integers(1, length), max_size=20)) | {length}
    text = np.arange(length, dtype=np.int32) % 50 + FIRST_TEXT_TOKEN
    tokens = np.concatenate(([SPECIAL.cls] * cls, text, [SPECIAL.eos] * eos)).astype(np.int32)
    ends = np.array(sorted(cuts), np.int64) + int(cls)
    number = draw(st.integers(0, 10))
    return Window(tokens, int(cls), int(cls) + length, ends, number, 0, length)


@st.composite
def windows_with_spans(draw: st.DrawFn) -> tuple[Window, list[Span]]:
    """A window and any set of its non-overlapping spans, touching or not, in any order."""
    window = draw(windows(min_maskable=1, max_maskable=60))
    edges = draw(st.sets(st.integers(window.first, window.last), max_size=12))
    cuts = sorted(edges)
    spans = [Span(a, b) for a, b in itertools.pairwise(cuts) if draw(st.booleans())]
    return window, draw(st.permutations(spans))
