"""Hypothesis generators: windows, objectives and keys as the build meets them."""

import itertools

import numpy as np
from hypothesis import strategies as st

from pipeline.assemble import Rules
from schemas.build_config import ObjectiveConfig
from schemas.objectives import SpecialTokens
from schemas.samples import Span, Window

SPECIAL = SpecialTokens(
    pad=0,
    cls=1,
    eos=2,
    mask=3,
    gmask=4,
    smask=5,
    start=6,
    end=7,
    noise=8,
    first_sentinel=1000,
    num_sentinels=400,
)
FIRST_TEXT_TOKEN = 9
VOCAB_SIZE = 1800

KEYS = st.integers(0, 2**64 - 1)

OBJECTIVES = st.sampled_from(
    [
        ObjectiveConfig(kind="blank"),
        ObjectiveConfig(kind="blank", mask_ratio=0.5, mean_span_tokens=12.0),
        ObjectiveConfig(kind="blank", mask_ratio=0.5, max_span_tokens=1),
        ObjectiveConfig(kind="blank", noise_ratio=0.3, random_positions=True),
        ObjectiveConfig(kind="blank", single_span_ratio=0.5, span_lengths="geometric"),
        ObjectiveConfig(kind="sentence", mask="smask"),
        ObjectiveConfig(kind="sentence", noise_ratio=0.5, mask_ratio=0.4),
        ObjectiveConfig(kind="document", mask="gmask"),
        ObjectiveConfig(kind="document", mask="gmask", min_span_ratio=0.0, random_positions=True),
        ObjectiveConfig(kind="prefix", mask="gmask"),
        ObjectiveConfig(kind="prefix", min_span_ratio=0.0, random_positions=True),
        ObjectiveConfig(kind="instruction", mask="gmask"),
        ObjectiveConfig(kind="masked_lm"),
        ObjectiveConfig(
            kind="masked_lm", span_lengths="geometric", replace_ratio=0.8, random_ratio=0.1
        ),
        ObjectiveConfig(kind="masked_tokens", replace_ratio=0.8, random_ratio=0.1),
        ObjectiveConfig(kind="masked_tokens", mask_ratio=0.5, random_positions=True),
        ObjectiveConfig(kind="causal_lm"),
        ObjectiveConfig(kind="causal_lm", random_positions=True),
        ObjectiveConfig(kind="prefix_lm", min_span_ratio=0.25),
        ObjectiveConfig(kind="sentinel_spans"),
        ObjectiveConfig(kind="sentinel_spans", mask_ratio=0.5, random_positions=True),
    ]
)


@st.composite
def rules(draw: st.DrawFn, objectives: st.SearchStrategy[ObjectiveConfig] = OBJECTIVES) -> Rules:
    """An objective with block positions and sentinels on or off."""
    return Rules(
        draw(objectives), SPECIAL, VOCAB_SIZE, 1024, draw(st.booleans()), draw(st.booleans())
    )


@st.composite
def windows(draw: st.DrawFn, min_maskable: int = 2, max_maskable: int = 300) -> Window:
    """A window of any length, framed or not, with sentence ends anywhere and perhaps a prompt."""
    prompt = draw(st.integers(0, 20)) if draw(st.booleans()) else 0
    length = draw(st.integers(max(1, min_maskable - (prompt > 0)), max_maskable))
    cls, eos = draw(st.booleans()), draw(st.booleans())
    cuts = draw(st.sets(st.integers(1, length), max_size=20)) | {length}
    text = np.arange(prompt + length, dtype=np.int32) % 50 + FIRST_TEXT_TOKEN
    tokens = np.concatenate(([SPECIAL.cls] * cls, text, [SPECIAL.eos] * eos)).astype(np.int32)
    first = int(cls) + prompt
    ends = np.array(sorted(cuts), np.int64) + first
    number = draw(st.integers(0, 10))
    return Window(tokens, first, first + length, ends, number, 0, prompt + length, prompt)


@st.composite
def windows_with_spans(draw: st.DrawFn) -> tuple[Window, list[Span]]:
    """A window and any set of its non-overlapping spans, touching or not, in any order."""
    window = draw(windows(min_maskable=1, max_maskable=60))
    edges = draw(st.sets(st.integers(window.first, window.last), max_size=12))
    cuts = sorted(edges)
    spans = [Span(a, b) for a, b in itertools.pairwise(cuts) if draw(st.booleans())]
    return window, draw(st.permutations(spans))
