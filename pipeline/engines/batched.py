"""The batched engine: `Engine` with NumPy alone, a few hundred windows of one objective at a time.

`engines.py` chooses it where numba is missing; `batched_spans.py` and `batched_rows.py` do the
work. Memory is bounded by the tokens of one step, however many windows there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.assemble import Rules
from pipeline.engines.batched_columns import store
from pipeline.engines.batched_draws import frames_of, ranges, shuffled
from pipeline.engines.batched_rows import FORMS
from pipeline.engines.batched_spans import SAMPLERS
from pipeline.objectives import OBJECTIVES
from pipeline.randomness import Stream
from pipeline.window_batch import Ints, Placement, Rows, SpanBatch, WindowBatch

__all__ = ["FORMS", "SAMPLERS", "draw", "write"]

STEP_TOKENS = 1 << 16
"""Tokens in the windows of one step: arrays of half a megabyte, which the allocator keeps and the
processor caches; of four times as many, half the time is spent on fresh pages."""


def draw(windows: WindowBatch, rules: Sequence[Rules], shuffle: bool) -> SpanBatch:
    """`Engine.draw` for objectives whose samplers are in `SAMPLERS`."""
    parts = []
    for chosen in steps(windows):
        part = select(windows, chosen)
        parts.append((chosen, _draw(part, rules[part.objectives[0]], shuffle)))
    return merge(parts, len(windows))


def _draw(windows: WindowBatch, rules: Rules, shuffle: bool) -> SpanBatch:
    line, frames = OBJECTIVES[rules.objective.kind], frames_of(windows)
    counts, starts, stops = SAMPLERS[line.sample](frames, rules.objective)
    edges = np.concatenate(([0], np.cumsum(counts)))
    if shuffle and line.form.is_shuffled:
        order = shuffled(counts, frames.states(Stream.ORDER))
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
        part = select(windows, chosen)
        objective = int(part.objectives[0])
        assemble = OBJECTIVES[rules[objective].objective.kind].form.assemble
        columns = FORMS[assemble](part, select_spans(spans, chosen), rules[objective], rows.format)
        store(columns, select_places(placement, chosen), objective + 1, rows)


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


def select(windows: WindowBatch, chosen: Ints) -> WindowBatch:
    """The windows of those indices, in that order, over the same tokens."""
    whole = ("tokens", "sentence_ends", "cls", "eos")
    names = [name for name in WindowBatch.__slots__ if name not in whole]
    return replace(windows, **{name: getattr(windows, name)[chosen] for name in names})


def select_spans(spans: SpanBatch, chosen: Ints) -> SpanBatch:
    """The spans of the windows of those indices."""
    counts = spans.counts[chosen]
    flat = ranges(spans.edges[chosen], counts)
    return SpanBatch(
        spans.starts[flat], spans.stops[flat], np.concatenate(([0], np.cumsum(counts)))
    )


def select_places(placement: Placement, chosen: Ints) -> Placement:
    """The places of the windows of those indices."""
    return Placement(placement.rows[chosen], placement.firsts[chosen], placement.places[chosen])


def merge(parts: Sequence[tuple[Ints, SpanBatch]], num_windows: int) -> SpanBatch:
    """The spans of all windows in order; each part is (indices of its windows, their spans)."""
    counts = np.zeros(num_windows, np.int64)
    for chosen, spans in parts:
        counts[chosen] = spans.counts
    edges = np.concatenate(([0], np.cumsum(counts)))
    starts, stops = np.empty((2, edges[-1]), np.int64)
    merged = SpanBatch(starts, stops, edges)
    for chosen, spans in parts:
        flat = ranges(edges[chosen], spans.counts)
        merged.starts[flat], merged.stops[flat] = spans.starts, spans.stops
    return merged
