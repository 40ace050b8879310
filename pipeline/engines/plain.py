"""The plain engine: one window after another through the definition of each objective.

Slow and obvious: what `batched.py` and `compiled.py` are compared with, and what they use for an
objective that they do not know.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from pipeline.assemble import Rules
from pipeline.objectives import OBJECTIVES, draw_spans
from pipeline.packing import encode_sample
from pipeline.window_batch import Placement, Rows, SpanBatch, WindowBatch
from schemas.samples import Span


def draw(windows: WindowBatch, rules: Sequence[Rules], shuffle: bool) -> SpanBatch:
    """`Engine.draw`."""
    found: list[list[Span]] = []
    for index, (objective, key) in enumerate(
        zip(windows.objectives.tolist(), windows.keys.tolist(), strict=True)
    ):
        window = windows.window(index, rules[objective].special)
        found.append(draw_spans(window, rules[objective].objective, key, shuffle))
    flat = np.array([span for spans in found for span in spans], np.int64).reshape(-1, 2)
    edges = np.array([0, *accumulate(map(len, found))], np.int64)
    return SpanBatch(flat[:, 0].copy(), flat[:, 1].copy(), edges)


def write(
    windows: WindowBatch,
    spans: SpanBatch,
    rules: Sequence[Rules],
    placement: Placement,
    rows: Rows,
) -> None:
    """`Engine.write`."""
    for index in range(len(windows)):
        objective = int(windows.objectives[index])
        applied = rules[objective]
        sample = OBJECTIVES[applied.objective.kind].form.assemble(
            windows.window(index, applied.special),
            spans.of(index),
            applied,
            int(windows.keys[index]),
        )
        at = int(placement.firsts[index]), int(placement.places[index])
        row = rows.values[int(placement.rows[index])]
        encode_sample(row, sample, at, objective + 1, rows.format)
