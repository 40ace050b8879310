"""spans -> samples with NumPy: the forms of `assemble.py` for many windows of one objective.

Each form is (windows, spans, rules, row format) -> columns.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline import assemble
from pipeline.array_draws import below_at, bits32_at, states_of
from pipeline.assemble import Rules
from pipeline.engines.batched_columns import Columns, Framed, all_part_a, framed, with_blanks
from pipeline.randomness import Stream, threshold
from pipeline.window_batch import Ints, SpanBatch, WindowBatch, ranges
from schemas.samples import RowFormat


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


def in_place(
    windows: WindowBatch, spans: SpanBatch, rules: Rules, row_format: RowFormat
) -> Columns:
    """`assemble.assemble_in_place`."""
    whole = framed(windows, spans, rules, by_text=True)
    out, _ = all_part_a(whole, whole.sizes, whole.sizes - 1, rules, row_format)
    states, inside = states_of(windows, Stream.REPLACE), whole.inside
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


def _draws_of_hidden(whole: Framed, stream: Stream, bound: int | None) -> Ints:
    """(hidden,) Draws number 0, 1, ... of each window for its hidden tokens, span by span."""
    numbers = ranges(whole.before(whole.lengths), whole.lengths)
    states = np.repeat(states_of(whole.windows, stream)[whole.owner], whole.lengths)
    return bits32_at(states, numbers) if bound is None else below_at(states, numbers, bound)


def sentinels(rules: Rules, numbers: Ints) -> Ints:
    """The mask of `SpecialTokens.sentinel` for each number."""
    assert numbers.max(initial=0) <= rules.special.num_sentinels, numbers.max()
    others = rules.special.first_sentinel + 2 * (numbers - 1)
    return np.where(numbers == 0, rules.special.mask, others)


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
