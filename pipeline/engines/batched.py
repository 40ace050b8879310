"""The batched engine: `Engine` with NumPy alone, a few hundred windows of one objective at a time.

`choice.py` chooses it where numba is missing; `batched_spans.py` and `batched_rows.py` do the
work. Memory is bounded by the tokens of one step, however many windows there are.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.array_draws import shuffled, states_of
from pipeline.assemble import Rules
from pipeline.engines.batched_columns import store
from pipeline.engines.batched_rows import FORMS
from pipeline.engines.batched_spans import SAMPLERS
from pipeline.objectives import OBJECTIVES
from pipeline.randomness import Stream
from pipeline.window_batch import (
    Ints,
    Placement,
    Rows,
    SpanBatch,
    WindowBatch,
    edges_of,
    merge,
)

__all__ = ["FORMS", "SAMPLERS", "draw", "write"]

STEP_TOKENS = 1 << 16
"""Tokens in the windows of one step: arrays of half a megabyte, which the allocator keeps and the
processor caches; of four times as many, half the time is spent on fresh pages."""


def draw(windows: WindowBatch, rules: Sequence[Rules], shuffle: bool) -> SpanBatch:
    """`Engine.draw` for objectives whose samplers are in `SAMPLERS`."""
    parts = []
    for chosen in steps(windows):
        part = windows.part(chosen)
        parts.append((chosen, _draw(part, rules[part.objectives[0]], shuffle)))
    return merge(parts, len(windows))


def _draw(windows: WindowBatch, rules: Rules, shuffle: bool) -> SpanBatch:
    line = OBJECTIVES[rules.objective.kind]
    counts, starts, stops = SAMPLERS[line.sample](windows, rules.objective)
    edges = edges_of(counts)
    if shuffle and line.form.is_shuffled:
        order = shuffled(counts, states_of(windows, Stream.ORDER))
        order = (order + edges[:-1, None])[np.arange(order.shape[1]) < counts[:, None]]
        starts, stops = starts[order], stops[order]
    return SpanBatch(starts, stops, edges)


def write(
    windows: WindowBatch,
    spans: SpanBatch,
    rules: Sequence[Rules],
    placement: Placement,
    rows: Rows,
) -> None:
    """`Engine.write` for objectives whose forms are in `FORMS`."""
    for chosen in steps(windows):
        part = windows.part(chosen)
        objective = int(part.objectives[0])
        assemble = OBJECTIVES[rules[objective].objective.kind].form.assemble
        columns = FORMS[assemble](part, spans.part(chosen), rules[objective], rows.format)
        store(columns, placement.part(chosen), objective + 1, rows)


def steps(windows: WindowBatch) -> Iterator[Ints]:
    """Indices of windows of one objective, of about `STEP_TOKENS` tokens with what pads them."""
    sizes = windows.sizes
    for objective in np.unique(windows.objectives):
        chosen = np.flatnonzero(windows.objectives == objective)
        chosen = chosen[np.argsort(sizes[chosen], kind="stable")]
        while len(chosen):
            padded = sizes[chosen] * np.arange(1, len(chosen) + 1)
            count = max(1, int(np.searchsorted(padded, STEP_TOKENS, "right")))
            yield chosen[:count]
            chosen = chosen[count:]
