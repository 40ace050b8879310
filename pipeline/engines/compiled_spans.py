"""windows -> spans, compiled: the loop over windows that draws their spans."""

from typing import Any

import numpy as np

from pipeline.engines.compiled_cache import kernel
from pipeline.engines.compiled_draws import ORDER, Ints, shuffle, state_of
from pipeline.engines.compiled_samplers import (
    BLANKS,
    SENTENCES,
    TOKENS,
    Scratch,
    one_span,
    sample_blanks,
    sample_sentences,
    sample_tokens,
)
from pipeline.engines.compiled_windows import Windows, frame_of


@kernel
def draw(
    windows: Windows,
    rules: Any,
    thresholds: Ints,
    spans: tuple[Ints, Ints],
    scratch: Scratch,
    shuffle_spans: bool,
) -> Ints:
    """Write the spans of all windows to the front of `spans`; (w + 1,) their edges.

    `spans` must have room for the sum over windows of `compiled.most_spans`.
    """
    edges = np.zeros(len(windows.lengths) + 1, np.int64)
    for index in range(len(windows.lengths)):
        frame, objective = frame_of(windows, index), windows.objectives[index]
        rule, at = rules[objective], edges[index]
        free = spans[0][at:], spans[1][at:]
        target = max(1, int(rule["mask_ratio"] * frame.size))
        count = 1
        if rule["sampler"] == BLANKS:
            count = sample_blanks(frame, rule, thresholds[objective], free, scratch)
        elif rule["sampler"] == SENTENCES:
            inside = windows.sentence_ends[windows.first_ends[index] : windows.stop_ends[index]]
            ends = inside - (windows.offsets[index] - windows.cls)
            count = sample_sentences(frame, target, ends, free, scratch)
        elif rule["sampler"] == TOKENS:
            count = sample_tokens(frame, target, free, scratch)
        else:
            free[0][0], free[1][0] = one_span(frame, rule)
        if shuffle_spans and rule["is_shuffled"]:
            order = state_of(frame.key, frame.number, ORDER)
            shuffle(order, free[0][:count])
            shuffle(order, free[1][:count])
        edges[index + 1] = at + count
    return edges
