"""windows -> spans, compiled: the samplers of `spans.py` for one window, and the loop over windows.

A sampler writes its spans, ascending, to the front of `starts` and `stops` and returns their
number.
"""

from typing import Any, NamedTuple

import numpy as np

from pipeline.engines.compiled_cache import helper, kernel
from pipeline.engines.compiled_draws import (
    LENGTHS,
    ORDER,
    PLACES,
    SINGLE,
    Frame,
    Ints,
    Windows,
    below_at,
    bits32_at,
    frame_of,
    shuffle,
    state_of,
)
from pipeline.engines.compiled_marks import Bits, collect, mark

BLANKS, SENTENCES, DOCUMENT, SUFFIX, COMPLETION, TOKENS = range(6)
"""Codes of the samplers, for the field `sampler` of a rule."""

SHORT = 8
"""Lengths that are tried all at once; columns of `thresholds` number at least one more."""


class Scratch(NamedTuple):
    """Memory for one window at a time; `bits` and `tally` are all 0 between uses."""

    bits: Bits
    tally: Ints
    order: Ints
    edges: Ints


@helper
def sample_blanks(
    frame: Frame, rule: Any, thresholds: Ints, spans: tuple[Ints, Ints], scratch: Scratch
) -> int:
    """`spans.sample_blanks`."""
    starts, stops = spans
    maskable = frame.last - frame.first
    count, masked = draw_lengths(frame, rule, thresholds, stops)
    free = maskable - masked - (count - 1)
    state = state_of(frame.key, frame.number, PLACES)
    for index in range(count):
        place = below_at(state, index, free + 1)
        scratch.tally[place] += 1
        mark(scratch.bits, place)
    index, offset = 0, frame.first
    for place in scratch.order[: collect(scratch.bits, free + 1, scratch.order)]:
        for _ in range(scratch.tally[place]):
            length = stops[index]
            starts[index], stops[index] = offset + place, offset + place + length
            offset += length + 1
            index += 1
        scratch.tally[place] = 0
    return count


@helper
def draw_lengths(frame: Frame, rule: Any, thresholds: Ints, lengths: Ints) -> tuple[int, int]:
    """Write the lengths of blanks; their (number, sum)."""
    maskable = frame.last - frame.first
    target = max(1, int(rule["mask_ratio"] * frame.size))
    if bits32_at(state_of(frame.key, frame.number, SINGLE), 0) < rule["single_span"]:
        target = 1
    state = state_of(frame.key, frame.number, LENGTHS)
    count, masked = 0, 0
    while masked < target:
        room = maskable - masked - max(count, 1)
        if room < 1:
            break
        draw, length = bits32_at(state, count), 1
        for shorter in range(SHORT):  # without a branch, as nearly all lengths are found here
            length += int(thresholds[shorter] <= draw)
        while thresholds[length - 1] <= draw:
            length += 1
        lengths[count] = min(length, room)
        masked += lengths[count]
        count += 1
    if count == 0:
        lengths[0] = 1
        return 1, 1
    return count, masked


@helper
def sample_sentences(
    frame: Frame, target: int, ends: Ints, spans: tuple[Ints, Ints], scratch: Scratch
) -> int:
    """`spans.sample_sentences`; `ends` are those inside the window, perhaps without its last."""
    starts, stops = spans
    edges = scratch.edges
    count = len(ends)
    edges[0] = frame.first
    edges[1 : count + 1] = ends
    if edges[count] != frame.last:
        count += 1
        edges[count] = frame.last
    order = ascending(scratch.order, 0, count)
    shuffle(state_of(frame.key, frame.number, PLACES), order)
    masked = 0
    for index in order:
        if masked >= target:
            break
        mark(scratch.bits, index)
        masked += edges[index + 1] - edges[index]
    taken = collect(scratch.bits, count, scratch.order)
    for index in range(taken):
        sentence = scratch.order[index]
        starts[index], stops[index] = edges[sentence], edges[sentence + 1]
    return taken


@helper
def ascending(memory: Ints, first: int, count: int) -> Ints:
    """`memory`'s front as first, first + 1, ..."""
    items = memory[:count]
    for index in range(count):
        items[index] = first + index
    return items


@helper
def sample_tokens(frame: Frame, target: int, spans: tuple[Ints, Ints], scratch: Scratch) -> int:
    """`spans.sample_tokens`."""
    starts, stops = spans
    maskable = frame.last - frame.first
    places = ascending(scratch.order, frame.first, maskable)
    state = state_of(frame.key, frame.number, PLACES)
    count = min(target, max(1, maskable - 1))
    for index in range(count):
        other = index + below_at(state, index, maskable - index)
        places[index], places[other] = places[other], places[index]
        mark(scratch.bits, places[index])
    collect(scratch.bits, frame.last, starts)
    for index in range(count):
        stops[index] = starts[index] + 1
    return count


@helper
def one_span(frame: Frame, rule: Any) -> tuple[int, int]:
    """`spans.sample_document`, `sample_suffix` or `sample_completion`, as the rule says."""
    if rule["sampler"] == COMPLETION:
        return max(frame.first, 1), frame.size
    share = int(rule["min_span_ratio"] * frame.size)
    lengths = state_of(frame.key, frame.number, LENGTHS)
    if rule["sampler"] == SUFFIX:
        longest = frame.size - (frame.first if frame.prompt else frame.first + 1)
        shortest = min(max(frame.size - frame.last + 1, share), longest)
        length = shortest + below_at(lengths, 0, longest - shortest + 1)
        return frame.size - length, frame.size
    maskable = frame.last - frame.first
    shortest = min(max(1, share), maskable)
    length = shortest + below_at(lengths, 0, maskable - shortest + 1)
    places = state_of(frame.key, frame.number, PLACES)
    start = frame.first + below_at(places, 0, maskable - length + 1)
    return start, start + length


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

    `spans` must have room for the sum over windows of `compiled.most_spans`. They are
    six parameters because numba knows no dataclass: what is not of one kind stays a parameter.
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
