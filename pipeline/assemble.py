"""spans -> sample: GLM's part A, part B, labels and two rows of positions.

Stands between `spans.py` and `packing.py`. The layout is that of section 2.1 of the GLM paper with
the reference's numbering from 0 (docs/sample-format.md has the worked example).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample, Span

Tokens = NDArray[np.int32]


def assemble(window: Tokens, spans: Sequence[Span], mask: int, start: int, end: int) -> Sample:
    """The sample that hides `spans` of `window`.

    `window` is int32 (n,); `spans` are half-open, do not overlap, and stand in the order of part B.
    Part A is the window with one `mask` for each span; part B is, per span, `start` and the span's
    tokens, labelled with the span's tokens and `end`. Length: n + 2 x spans. Deterministic.
    """
    ascending = sorted(spans)
    source_positions = _source_positions(len(window), ascending)
    source = _part_a(window, ascending, mask)
    boundary = len(source)
    parts_b = [window[span.start : span.stop] for span in spans]
    sizes = [len(part) + 1 for part in parts_b]
    opened = [np.concatenate(([start], part)) for part in parts_b]
    labels = [np.concatenate((part, [end])) for part in parts_b]
    positions = np.repeat([source_positions[span.start] for span in spans], sizes)
    blocks = [np.arange(1, size + 1) for size in sizes]
    return Sample(
        tokens=_joined(source, *opened),
        labels=_joined(np.full(boundary, IGNORE_INDEX), *labels),
        positions=_joined(np.arange(boundary), positions),
        block_positions=_joined(np.zeros(boundary), *blocks),
        boundary=boundary,
    )


def assemble_in_place(window: Tokens, spans: Sequence[Span], mask: int) -> Sample:
    """The sample of masked language modelling: every token of `spans` becomes `mask`.

    Nothing moves: part A is the whole window, part B is empty, labels stand under the masks, block
    positions are 0. All masked tokens become `mask`, as in the reference's baseline.
    """
    tokens, labels = window.copy(), np.full(len(window), IGNORE_INDEX, np.int32)
    for span in spans:
        tokens[span.start : span.stop] = mask
        labels[span.start : span.stop] = window[span.start : span.stop]
    positions = np.arange(len(window), dtype=np.int32)
    return Sample(tokens, labels, positions, np.zeros_like(positions), boundary=len(window))


def restore(sample: Sample, mask: int) -> tuple[Tokens, list[Span]]:
    """The window and the spans, in part-B order, that `assemble` made `sample` of.

    Its inverse. `mask` is the mask token of the sample;
    a blank is recognised by the positions of part B, not by the token. Of a sample made in place,
    touching spans come back as one.
    """
    if sample.boundary == len(sample.tokens):
        return _restore_in_place(sample)
    opening = np.flatnonzero(sample.block_positions == 1)
    opening = opening[opening >= sample.boundary]
    edges = [*opening.tolist(), len(sample.tokens)]
    spans_at = {
        int(sample.positions[first]): sample.tokens[first + 1 : last]
        for first, last in pairwise(edges)
    }
    pieces, starts, length = [], {}, 0
    for place in range(sample.boundary):
        hidden = spans_at.get(place)
        assert hidden is None or sample.tokens[place] == mask, "a span without its mask token"
        pieces.append(sample.tokens[place : place + 1] if hidden is None else hidden)
        starts[place] = Span(length, length + len(pieces[-1]))
        length += len(pieces[-1])
    return _joined(*pieces), [starts[place] for place in spans_at]


def _restore_in_place(sample: Sample) -> tuple[Tokens, list[Span]]:
    masked = sample.labels != IGNORE_INDEX
    edges = np.flatnonzero(np.diff(masked, prepend=False, append=False)).reshape(-1, 2)
    return np.where(masked, sample.labels, sample.tokens), [Span(*edge) for edge in edges.tolist()]


def _source_positions(length: int, ascending: Sequence[Span]) -> NDArray[np.int64]:
    """Position of each window token in part A; all tokens of a span share that of its mask."""
    step = np.ones(length, np.int64)
    for span in ascending:
        step[span.start + 1 : span.stop] = 0
    return np.cumsum(step) - 1


def _part_a(window: Tokens, ascending: Sequence[Span], mask: int) -> Tokens:
    pieces, kept_from = [], 0
    for span in ascending:
        pieces += [window[kept_from : span.start], np.array([mask])]
        kept_from = span.stop
    return _joined(*pieces, window[kept_from:])


def _joined(*parts: NDArray[np.generic]) -> Tokens:
    return np.concatenate(parts).astype(np.int32)
