"""The columns of many samples with NumPy, and part A in them: what the batched forms share.

Samples of one step lie one after another in flat columns; `store` copies them into rows.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.array_draws import below_at, states_of
from pipeline.assemble import Rules
from pipeline.randomness import Stream
from pipeline.window_batch import Ints, Placement, Rows, SpanBatch, WindowBatch, edges_of, ranges
from schemas.samples import RowFormat


@dataclass(frozen=True)
class Columns:
    """`w` samples, one after another: sample i is [edges[i], edges[i + 1]) of each column.

    Columns are of the row's type; `boundaries` (w,) are the lengths of part A.
    """

    tokens: NDArray[Any]
    labels: NDArray[Any]
    positions: NDArray[Any]
    blocks: NDArray[Any]
    edges: Ints
    boundaries: Ints


@dataclass(frozen=True)
class Framed:
    """The tokens of `w` windows with [CLS] and eos, one after another, and their `s` spans.

    `starts` count in `tokens`; `owner` (s,) is the window of each span and `numbers` (s,) its
    number there.
    """

    windows: WindowBatch
    tokens: NDArray[np.int32]
    edges: Ints
    starts: Ints
    lengths: Ints
    owner: Ints
    numbers: Ints

    @property
    def sizes(self) -> Ints:
        """(w,) Tokens of each window."""
        return np.asarray(np.diff(self.edges))

    @property
    def inside(self) -> Ints:
        """(hidden,) The places of the spans' tokens in `tokens`, span by span."""
        return ranges(self.starts, self.lengths)

    def before(self, sizes: Ints) -> Ints:
        """(s,) Sum of `sizes` (s,) over the spans before each one in its window."""
        total = np.cumsum(sizes) - sizes
        return np.asarray(total - total[np.arange(len(sizes)) - self.numbers])

    def sums(self, sizes: Ints) -> Ints:
        """(w,) Sum of `sizes` (s,) over each window's spans."""
        return np.bincount(self.owner, sizes, len(self.windows)).astype(np.int64)


def framed(windows: WindowBatch, spans: SpanBatch, rules: Rules, by_text: bool) -> Framed:
    """The tokens and spans of `windows`, the spans in the order of the text where `by_text`."""
    edges = edges_of(windows.sizes)
    tokens = np.empty(edges[-1], np.int32)
    text = windows.tokens[ranges(windows.offsets, windows.lengths)]
    tokens[ranges(edges[:-1] + int(windows.cls), windows.lengths)] = text
    if windows.cls:
        tokens[edges[:-1]] = rules.special.cls
    if windows.eos:
        tokens[edges[1:] - 1] = rules.special.eos
    owner = np.repeat(np.arange(len(windows)), spans.counts)
    starts, lengths = spans.starts + edges[owner], spans.stops - spans.starts
    if by_text:
        order = np.argsort(starts, kind="stable")
        starts, lengths = starts[order], lengths[order]
    numbers = np.arange(len(owner)) - spans.edges[owner]
    return Framed(windows, tokens, edges, starts, lengths, owner, numbers)


def all_part_a(
    whole: Framed, sizes: Ints, last_positions: Ints, rules: Rules, row_format: RowFormat
) -> tuple[Columns, Ints]:
    """Columns as if all of each sample were part A, tokens unset; and (w,) first positions."""
    offsets = np.zeros_like(sizes)
    if rules.objective.random_positions:
        states = states_of(whole.windows, Stream.OFFSET)
        offsets = below_at(states, 0, rules.window_tokens - last_positions)
    edges = edges_of(sizes)
    columns = Columns(
        np.empty(edges[-1], row_format.dtype),
        np.full(edges[-1], row_format.ignore, row_format.dtype),
        ranges(offsets, sizes).astype(row_format.dtype),
        np.zeros(edges[-1], row_format.dtype),
        edges,
        sizes,
    )
    return columns, offsets


def with_blanks(
    whole: Framed, masks: Ints, tail: int, rules: Rules, row_format: RowFormat
) -> tuple[Columns, Ints]:
    """Samples with part A written, `masks` (s,) in place of the spans, and room for part B.

    Part B has each span, one token more for each, and `tail` more in all. Also (s,) the position
    of each span's mask.
    """
    text, edges = np.arange(len(whole.tokens)), whole.edges
    moved, hidden = np.zeros((2, len(text) + 1), np.int64)
    moved[whole.starts + whole.lengths] = 1 - whole.lengths
    hidden[whole.starts] = 1
    hidden[whole.starts + whole.lengths] -= 1
    moved = np.cumsum(moved)
    boundaries = whole.sizes + np.diff(moved[edges])
    sizes = boundaries + whole.sums(whole.lengths + 1) + tail
    out, offsets = all_part_a(whole, sizes, boundaries - 1, rules, row_format)
    moved[:-1] += np.repeat(out.edges[:-1] - edges[:-1] - moved[edges[:-1]], whole.sizes)
    kept = text[np.cumsum(hidden[:-1]) == 0]
    out.tokens[kept + moved[kept]] = whole.tokens[kept]
    places = whole.starts + moved[whole.starts]
    out.tokens[places] = masks
    return replace(out, boundaries=boundaries), places - (out.edges[:-1] - offsets)[whole.owner]


def store(columns: Columns, placement: Placement, code: int, rows: Rows) -> None:
    """Copy the samples into `rows`, as `packing.encode_sample` does."""
    slices, edges = rows.format.slices, columns.edges.tolist()
    parts = [
        (slices["tokens"].start, columns.tokens),
        (slices["labels"].start, columns.labels),
        (slices["positions"].start, columns.positions),
        (slices["block_positions"].start, columns.blocks),
    ]
    where = zip(placement.rows.tolist(), placement.firsts.tolist(), strict=True)
    for (row, first), start, stop in zip(where, edges[:-1], edges[1:], strict=True):
        values = rows.values[row]
        for begin, column in parts:
            values[begin + first : begin + first + stop - start] = column[start:stop]
    at = placement.rows, placement.places
    rows.values[:, slices["lengths"]][at] = np.diff(columns.edges)
    rows.values[:, slices["boundaries"]][at] = columns.boundaries
    rows.values[:, slices["objectives"]][at] = code
