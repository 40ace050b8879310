"""spans -> rows with NumPy: the forms of `assemble.py` for many windows of one objective at once.

Each form lays the samples out one after another in flat columns, which `store` copies into rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import assemble
from pipeline.assemble import Rules
from pipeline.batched_spans import below_at, bits32_at, frames_of, ranges
from pipeline.randomness import Stream, threshold
from pipeline.window_batch import Ints, Placement, Rows, SpanBatch, WindowBatch
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
        return total - total[np.arange(len(sizes)) - self.numbers]

    def sums(self, sizes: Ints) -> Ints:
        """(w,) Sum of `sizes` (s,) over each window's spans."""
        return np.bincount(self.owner, sizes, len(self.windows)).astype(np.int64)


def framed(windows: WindowBatch, spans: SpanBatch, rules: Rules, by_text: bool) -> Framed:
    """The tokens and spans of `windows`, the spans in the order of the text where `by_text`."""
    edges = np.concatenate(([0], np.cumsum(windows.sizes)))
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
        states = frames_of(whole.windows).states(Stream.OFFSET)
        offsets = below_at(states, 0, rules.window_tokens - last_positions)
    edges = np.concatenate(([0], np.cumsum(sizes)))
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


def sentinels(rules: Rules, numbers: Ints) -> Ints:
    """The mask of `SpecialTokens.sentinel` for each number."""
    assert numbers.max(initial=0) <= rules.special.num_sentinels, numbers.max()
    others = rules.special.first_sentinel + 2 * (numbers - 1)
    return np.where(numbers == 0, rules.special.mask, others)


def blanks(windows: WindowBatch, spans: SpanBatch, rules: Rules, row_format: RowFormat) -> Columns:
    """`assemble.assemble_blanks`."""
    whole, special = framed(windows, spans, rules, by_text=False), rules.special
    masks = np.full(len(whole.owner), rules.mask)
    starts = np.full(len(whole.owner), special.start)
    if rules.sentinels:
        masks = sentinels(rules, whole.numbers)
        starts = np.where(whole.numbers == 0, special.start, masks + 1)
    out, positions = with_blanks(whole, masks, 0, rules, row_format)
    if rules.sentinels:
        positions = np.full(len(positions), rules.window_tokens)
    sizes = whole.lengths + 1
    firsts = (out.edges[:-1] + out.boundaries)[whole.owner] + whole.before(sizes)
    inside, hidden = ranges(firsts, whole.lengths), whole.tokens[whole.inside]
    out.tokens[firsts] = starts
    out.tokens[inside + 1] = hidden
    out.labels[inside] = hidden
    out.labels[firsts + whole.lengths] = special.end
    all_b = ranges(firsts, sizes)
    out.positions[all_b] = np.repeat(positions, sizes)
    out.blocks[all_b] = ranges(np.ones_like(sizes), sizes) if rules.block_positions else 1
    noisy = threshold(rules.objective.noise_ratio)
    if noisy:
        draws = _draws_of_hidden(whole, Stream.NOISE, None)
        out.tokens[inside[draws < noisy] + 1] = special.noise
    return out


def _draws_of_hidden(whole: Framed, stream: Stream, bound: int | None) -> Ints:
    """(hidden,) Draws number 0, 1, ... of each window for its hidden tokens, span by span."""
    numbers = ranges(whole.before(whole.lengths), whole.lengths)
    states = np.repeat(frames_of(whole.windows).states(stream)[whole.owner], whole.lengths)
    return bits32_at(states, numbers) if bound is None else below_at(states, numbers, bound)


def in_place(
    windows: WindowBatch, spans: SpanBatch, rules: Rules, row_format: RowFormat
) -> Columns:
    """`assemble.assemble_in_place`."""
    whole = framed(windows, spans, rules, by_text=True)
    out, _ = all_part_a(whole, whole.sizes, whole.sizes - 1, rules, row_format)
    states, inside = frames_of(windows).states(Stream.REPLACE), whole.inside
    draws = np.repeat(bits32_at(states[whole.owner], whole.numbers), whole.lengths)
    masked = threshold(rules.objective.replace_ratio)
    randomised = threshold(rules.objective.random_ratio)
    out.tokens[:] = whole.tokens
    out.labels[inside] = whole.tokens[inside]
    if randomised:
        specials = np.array(rules.special.ids(rules.vocab_size))
        ordinary = _draws_of_hidden(whole, Stream.RANDOM_TOKENS, rules.vocab_size - len(specials))
        ordinary += np.searchsorted(specials - np.arange(len(specials)), ordinary, "right")
        chosen = draws < masked + randomised
        out.tokens[inside[chosen]] = ordinary[chosen]
    out.tokens[inside[draws < masked]] = rules.mask
    return out


def prefix(windows: WindowBatch, spans: SpanBatch, rules: Rules, row_format: RowFormat) -> Columns:
    """`assemble.assemble_prefix`."""
    whole = framed(windows, spans, rules, by_text=False)
    kept = spans.starts
    out, offsets = all_part_a(whole, whole.sizes + 1, kept, rules, row_format)
    text, window = np.arange(len(whole.tokens)), np.repeat(np.arange(len(kept)), whole.sizes)
    is_hidden = text >= whole.starts[window]
    is_input = text < (whole.edges[1:] - 1)[window]
    out.tokens[(text + window + 2 * is_hidden)[is_input]] = whole.tokens[is_input]
    places = out.edges[:-1] + kept
    out.tokens[places], out.tokens[places + 1] = rules.mask, rules.special.start
    part_b = (text + window + 1)[is_hidden]
    sizes = whole.sizes - kept
    out.labels[part_b] = whole.tokens[is_hidden]
    out.positions[part_b] = np.repeat(offsets + kept, sizes)
    out.blocks[part_b] = ranges(np.ones_like(sizes), sizes) if rules.block_positions else 1
    return replace(out, boundaries=kept + 1)


def next_token(
    windows: WindowBatch, spans: SpanBatch, rules: Rules, row_format: RowFormat
) -> Columns:
    """`assemble.assemble_next_token`."""
    whole = framed(windows, spans, rules, by_text=False)
    sizes = whole.sizes - 1
    out, _ = all_part_a(whole, sizes, sizes - 1, rules, row_format)
    out.tokens[:] = whole.tokens[ranges(whole.edges[:-1], sizes)]
    hidden = whole.sizes - spans.starts
    labelled = ranges(out.edges[:-1] + spans.starts - 1, hidden)
    out.labels[labelled] = whole.tokens[ranges(whole.starts, hidden)]
    return replace(out, boundaries=np.zeros_like(sizes))


def prefix_lm(
    windows: WindowBatch, spans: SpanBatch, rules: Rules, row_format: RowFormat
) -> Columns:
    """`assemble.assemble_prefix_lm`."""
    return replace(next_token(windows, spans, rules, row_format), boundaries=spans.starts)


def sentinel_spans(
    windows: WindowBatch, spans: SpanBatch, rules: Rules, row_format: RowFormat
) -> Columns:
    """`assemble.assemble_sentinels`."""
    whole = framed(windows, spans, rules, by_text=True)
    masks = sentinels(rules, whole.numbers)
    out, _ = with_blanks(whole, masks, 1, rules, row_format)
    opened = out.edges[:-1] + out.boundaries
    firsts = opened[whole.owner] + whole.before(whole.lengths + 1)
    inside, hidden = ranges(firsts + 1, whole.lengths), whole.tokens[whole.inside]
    out.tokens[opened] = rules.special.start
    out.tokens[firsts + 1], out.labels[firsts] = masks, masks
    out.tokens[inside + 1], out.labels[inside] = hidden, hidden
    out.labels[out.edges[1:] - 1] = rules.special.end
    sizes = np.diff(out.edges) - out.boundaries
    part_b = ranges(opened, sizes)
    out.positions[part_b] = rules.window_tokens
    out.blocks[part_b] = ranges(np.ones_like(sizes), sizes)
    return out


Form = Callable[[WindowBatch, SpanBatch, Rules, RowFormat], Columns]

FORMS: dict[Callable[..., Any], Form] = {
    assemble.assemble_blanks: blanks,
    assemble.assemble_prefix: prefix,
    assemble.assemble_in_place: in_place,
    assemble.assemble_next_token: next_token,
    assemble.assemble_prefix_lm: prefix_lm,
    assemble.assemble_sentinels: sentinel_spans,
}
"""Forms of the definition that this engine knows, and its own."""


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
