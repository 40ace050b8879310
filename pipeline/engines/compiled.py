"""The compiled engine: `Engine` as two numba kernels, one window after another, in one thread.

`choice.py` chooses it where numba can be imported. Here the arrays are handed over, with memory
enough; `compiled_samplers.py` and `compiled_rows.py` do the work, `compiled_table.py` says what
they know.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.assemble import Rules
from pipeline.engines import compiled_rows, compiled_samplers
from pipeline.engines.compiled_columns import RUN
from pipeline.engines.compiled_draws import Windows
from pipeline.engines.compiled_rows import Layout, Memory, Placed
from pipeline.engines.compiled_samplers import Scratch
from pipeline.engines.compiled_table import FORMS, SAMPLERS, table_of
from pipeline.window_batch import Ints, Placement, Rows, SpanBatch, WindowBatch

__all__ = ["FORMS", "SAMPLERS", "draw", "write"]


def draw(windows: WindowBatch, rules: Sequence[Rules], shuffle: bool) -> SpanBatch:
    """`Engine.draw` for objectives whose samplers are in `SAMPLERS`."""
    table = table_of(rules)
    room = np.empty((2, int(most_spans(windows, table.rules).sum())), np.int64)
    longest = int(max(windows.sizes.max(initial=0), _sentences(windows).max(initial=0))) + 1
    bits = np.zeros(longest // 64 + 1, np.uint64)
    scratch = Scratch(bits, *np.zeros((3, longest), np.int64))
    edges = compiled_samplers.draw(
        _arrays(windows), table.rules, table.thresholds, (room[0], room[1]), scratch, shuffle
    )
    starts, stops = room[:, : edges[-1]].copy()
    return SpanBatch(starts, stops, edges)


def write(
    windows: WindowBatch,
    spans: SpanBatch,
    rules: Sequence[Rules],
    placement: Placement,
    rows: Rows,
) -> None:
    """`Engine.write` for objectives whose forms are in `FORMS`."""
    table, slices = table_of(rules), rows.format.slices
    form = rows.format
    begins = (part.start for name, part in slices.items() if name != "tokens")
    layout = Layout._make([*begins, form.row_tokens, form.max_samples, form.ignore])
    longest = int(windows.sizes.max(initial=0)) + 1
    bits = np.zeros(longest // 64 + 1, np.uint64)
    text, part_a = np.zeros((2, longest + RUN), np.int32)
    memory = Memory(text, part_a, bits, *np.zeros((3, longest), np.int64))
    placed = Placed(
        spans.starts, spans.stops, spans.edges, placement.rows, placement.firsts, placement.places
    )
    failed = compiled_rows.write(
        _arrays(windows), placed, table.rules, table.specials, rows.values, layout, memory
    )
    assert failed < 0, f"the sample of window {failed} outgrows its row, or has too many spans"


def most_spans(windows: WindowBatch, rules: NDArray[Any]) -> Ints:
    """(w,) Upper bounds on the spans of each window: what `draw` needs room for."""
    samplers = rules["sampler"][windows.objectives]
    targets = windows.targets(rules["mask_ratio"][windows.objectives])
    takes_target = (samplers == compiled_samplers.BLANKS) | (samplers == compiled_samplers.TOKENS)
    others = np.where(samplers == compiled_samplers.SENTENCES, _sentences(windows), 1)
    return np.where(takes_target, targets, others)


def _sentences(windows: WindowBatch) -> Ints:
    """(w,) Upper bounds on the sentences of each window."""
    return windows.stop_ends - windows.first_ends + 1


def _arrays(windows: WindowBatch) -> Windows:
    arrays = (getattr(windows, name) for name in Windows._fields[:-2])
    return Windows._make([*arrays, int(windows.cls), int(windows.eos)])
