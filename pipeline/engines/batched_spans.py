"""windows -> spans with NumPy: the samplers of `spans.py` for many windows of one objective.

Each sampler returns (spans per window, starts, stops), the spans ascending within each window and
the windows in order. Matrices are (w, longest); what is beyond a window's own end is masked out.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline import spans
from pipeline.array_draws import below_at, bits32_at, shuffled, states_of
from pipeline.randomness import Stream, length_thresholds, threshold
from pipeline.window_batch import Ints, WindowBatch, ranges
from schemas.build_config import ObjectiveConfig

Flat = tuple[Ints, Ints, Ints]


def sample_blanks(windows: WindowBatch, objective: ObjectiveConfig) -> Flat:
    """`spans.sample_blanks`."""
    lengths = _draw_lengths(windows, objective)
    is_span = lengths > 0
    counts = is_span.sum(axis=1)
    free = windows.maskable - lengths.sum(axis=1) - (counts - 1)
    places = below_at(
        states_of(windows, Stream.PLACES)[:, None], np.arange(lengths.shape[1]), free[:, None] + 1
    )
    places = np.sort(np.where(is_span, places, np.iinfo(np.int64).max), axis=1)
    before = np.cumsum(lengths + 1, axis=1) - (lengths + 1)
    starts = (windows.first[:, None] + before)[is_span] + places[is_span]
    return counts, starts, starts + lengths[is_span]


def _draw_lengths(windows: WindowBatch, objective: ObjectiveConfig) -> Ints:
    """(w, most spans) Lengths in the order of drawing, then 0."""
    states, maskable = states_of(windows, Stream.LENGTHS), windows.maskable
    thresholds = np.array(
        length_thresholds(
            objective.span_lengths, objective.mean_span_tokens, objective.max_span_tokens
        )
    )
    single = bits32_at(states_of(windows, Stream.SINGLE), 0) < threshold(
        objective.single_span_ratio
    )
    targets = np.where(single, 1, windows.targets(objective.mask_ratio))
    masked, columns = np.zeros_like(maskable), [np.zeros_like(maskable)]
    while True:
        room = maskable - masked - max(len(columns) - 1, 1)
        goes_on = (masked < targets) & (room >= 1)
        if not goes_on.any():
            break
        draws = np.searchsorted(thresholds, bits32_at(states, len(columns) - 1), "right") + 1
        columns.append(np.where(goes_on, np.minimum(draws, room), 0))
        masked += columns[-1]
    columns = columns[1:] or columns
    columns[0] = np.maximum(columns[0], 1)
    return np.stack(columns, axis=1)


def sample_sentences(windows: WindowBatch, objective: ObjectiveConfig) -> Flat:
    """`spans.sample_sentences`."""
    edges, counts = _sentence_edges(windows)
    order = shuffled(counts, states_of(windows, Stream.PLACES))
    lengths = np.take_along_axis(np.diff(edges, axis=1), order, axis=1)
    masked_before = np.cumsum(lengths, axis=1) - lengths
    is_taken = masked_before < windows.targets(objective.mask_ratio)[:, None]
    is_taken &= np.arange(order.shape[1]) < counts[:, None]
    chosen = np.zeros(order.shape, bool)
    np.put_along_axis(chosen, order, is_taken, axis=1)
    return chosen.sum(axis=1), edges[:, :-1][chosen], edges[:, 1:][chosen]


def _sentence_edges(windows: WindowBatch) -> tuple[Ints, Ints]:
    """(w, most sentences + 1) edges in each window's coordinates, and (w,) sentences."""
    given = windows.stop_ends - windows.first_ends
    edges = np.repeat(windows.last[:, None], int(given.max()) + 2, axis=1)
    edges[:, 0] = windows.first
    flat = windows.sentence_ends[ranges(windows.first_ends, given)]
    inside = np.arange(edges.shape[1] - 1) < given[:, None]
    edges[:, 1:][inside] = flat - np.repeat(windows.offsets - int(windows.cls), given)
    reached = np.take_along_axis(edges, given[:, None], axis=1)[:, 0] == windows.last
    counts = given + ~reached
    return edges[:, : counts.max() + 1], counts


def sample_tokens(windows: WindowBatch, objective: ObjectiveConfig) -> Flat:
    """`spans.sample_tokens`."""
    maskable, states = windows.maskable, states_of(windows, Stream.PLACES)
    counts = np.minimum(windows.targets(objective.mask_ratio), np.maximum(1, maskable - 1))
    places = np.tile(np.arange(maskable.max()), (len(counts), 1))
    for index in range(int(counts.max())):
        row = np.flatnonzero(counts > index)
        other = index + below_at(states[row], index, maskable[row] - index)
        swapped = places[row, index]
        places[row, index] = places[row, other]
        places[row, other] = swapped
    drawn = np.arange(places.shape[1]) < counts[:, None]
    chosen = np.zeros(places.shape, bool)
    np.put_along_axis(chosen, places, drawn, axis=1)
    window, place = np.nonzero(chosen)
    starts = windows.first[window] + place
    return counts, starts, starts + 1


def sample_document(windows: WindowBatch, objective: ObjectiveConfig) -> Flat:
    """`spans.sample_document`."""
    maskable = windows.maskable
    share = (objective.min_span_ratio * windows.sizes).astype(np.int64)
    shortest = np.minimum(np.maximum(1, share), maskable)
    lengths = shortest + below_at(states_of(windows, Stream.LENGTHS), 0, maskable - shortest + 1)
    starts = windows.first + below_at(states_of(windows, Stream.PLACES), 0, maskable - lengths + 1)
    return np.ones_like(starts), starts, starts + lengths


def sample_suffix(windows: WindowBatch, objective: ObjectiveConfig) -> Flat:
    """`spans.sample_suffix`."""
    sizes = windows.sizes
    longest = sizes - windows.first - (windows.prompts == 0)
    share = (objective.min_span_ratio * sizes).astype(np.int64)
    shortest = np.minimum(np.maximum(sizes - windows.last + 1, share), longest)
    lengths = shortest + below_at(states_of(windows, Stream.LENGTHS), 0, longest - shortest + 1)
    return np.ones_like(sizes), sizes - lengths, sizes.copy()


def sample_completion(windows: WindowBatch, objective: ObjectiveConfig) -> Flat:
    """`spans.sample_completion`."""
    return np.ones_like(windows.sizes), np.maximum(windows.first, 1), windows.sizes.copy()


SAMPLERS: dict[Callable[..., Any], Callable[[WindowBatch, ObjectiveConfig], Flat]] = {
    spans.sample_blanks: sample_blanks,
    spans.sample_sentences: sample_sentences,
    spans.sample_document: sample_document,
    spans.sample_suffix: sample_suffix,
    spans.sample_completion: sample_completion,
    spans.sample_tokens: sample_tokens,
}
"""Samplers of the definition that this engine knows, and its own."""
