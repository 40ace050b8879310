"""spans -> sample, compiled: the forms of `assemble.py`, written straight into a row.

Each form fills the four columns of one sample and returns the length of part A. `text` is the
window's tokens, framed. Columns are narrow and unsigned: what is stored is cut to their type.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled_cache import helper
from pipeline.compiled_draws import (
    NOISE,
    OFFSET,
    RANDOM_TOKENS,
    REPLACE,
    Ints,
    below_at,
    bits32_at,
    state_of,
)
from pipeline.compiled_spans import Frame

IN_BLANKS, IN_PREFIX, IN_PLACE, NEXT_TOKEN, PREFIX_LM, IN_SENTINELS = range(6)
"""Codes of the forms, for the field `form` of a rule."""

Text = NDArray[np.int32]


class Columns(NamedTuple):
    """The place of one sample in a row: four arrays of its length."""

    tokens: NDArray[Any]
    labels: NDArray[Any]
    positions: NDArray[Any]
    blocks: NDArray[Any]


class Spans(NamedTuple):
    """The spans of one window in the order of part B, and what is worked out from them."""

    starts: Ints
    stops: Ints
    order: Ints
    """Numbers of the spans in the order of the text."""
    places: Ints
    """Place of each span's mask in part A."""


@helper
def copy(target: NDArray[Any], source: NDArray[Any]) -> None:
    """Write `source` to the front of `target`."""
    for place in range(len(source)):
        target[place] = source[place]


@helper
def fill(target: NDArray[Any], value: int) -> None:
    """Write `value` everywhere."""
    for place in range(len(target)):
        target[place] = value


@helper
def count_up(target: NDArray[Any], first: int, step: int) -> None:
    """Write first, first + step, ..."""
    for place in range(len(target)):
        target[place] = first + place * step


@helper
def fill_front(out: Columns, size: int, offset: int, ignore: int) -> None:
    """Labels, positions and block positions of the first `size` tokens, as in part A."""
    fill(out.labels[:size], ignore)
    count_up(out.positions[:size], offset, 1)
    fill(out.blocks[:size], 0)


@helper
def offset_of(rule: Any, frame: Frame, last_position: int) -> int:
    """`assemble._offset`."""
    if not rule["random_positions"]:
        return 0
    state = state_of(frame.key, frame.number, OFFSET)
    return below_at(state, 0, rule["window_tokens"] - last_position)


@helper
def sentinel(rule: Any, number: int) -> int:
    """The mask of `SpecialTokens.sentinel`; its start token is one more, or the plain one for 0."""
    return int(rule["plain_mask"] if number == 0 else rule["first_sentinel"] + 2 * (number - 1))


@helper
def write_part_a(text: Text, spans: Spans, rule: Any, out: Columns) -> int:
    """The tokens of part A and `spans.places`; the length of part A."""
    place, kept_from = 0, 0
    for index in range(len(spans.order)):
        span = spans.order[index]
        start = spans.starts[span]
        copy(out.tokens[place:], text[kept_from:start])
        place += start - kept_from
        mask = rule["mask"]
        if rule["form"] == IN_SENTINELS:
            mask = sentinel(rule, index)
        elif rule["sentinels"]:
            mask = sentinel(rule, span)
        out.tokens[place] = mask
        spans.places[span] = place
        place += 1
        kept_from = spans.stops[span]
    copy(out.tokens[place:], text[kept_from:])
    return place + len(text) - kept_from


@helper
def write_blanks(
    text: Text, spans: Spans, rule: Any, frame: Frame, out: Columns, ignore: int
) -> int:
    """`assemble.assemble_blanks`."""
    boundary = write_part_a(text, spans, rule, out)
    offset = offset_of(rule, frame, boundary - 1)
    fill_front(out, boundary, offset, ignore)
    at, step = boundary, rule["block_positions"]
    for span in range(len(spans.starts)):
        hidden = text[spans.starts[span] : spans.stops[span]]
        size = len(hidden)
        position = offset + spans.places[span]
        out.tokens[at] = rule["start"]
        if rule["sentinels"]:
            position = rule["window_tokens"]
            if span > 0:
                out.tokens[at] = sentinel(rule, span) + 1
        copy(out.tokens[at + 1 :], hidden)
        copy(out.labels[at:], hidden)
        out.labels[at + size] = rule["end"]
        fill(out.positions[at : at + size + 1], position)
        count_up(out.blocks[at : at + size + 1], 1, step)
        at += size + 1
    if rule["noisy"]:
        add_noise(spans, rule, frame, out.tokens[boundary:])
    return boundary


@helper
def add_noise(spans: Spans, rule: Any, frame: Frame, part_b: NDArray[Any]) -> None:
    """Put the noise token in place of the drawn inputs of part B."""
    state = state_of(frame.key, frame.number, NOISE)
    at, hidden = 0, 0
    for span in range(len(spans.starts)):
        at += 1
        for _ in range(spans.stops[span] - spans.starts[span]):
            if bits32_at(state, hidden) < rule["noisy"]:
                part_b[at] = rule["noise"]
            at += 1
            hidden += 1


@helper
def write_prefix(text: Text, start: int, rule: Any, frame: Frame, out: Columns, ignore: int) -> int:
    """`assemble.assemble_prefix`."""
    offset = offset_of(rule, frame, start)
    fill_front(out, start + 1, offset, ignore)
    copy(out.tokens, text[:start])
    out.tokens[start] = rule["mask"]
    out.tokens[start + 1] = rule["start"]
    copy(out.tokens[start + 2 :], text[start:-1])
    copy(out.labels[start + 1 :], text[start:])
    fill(out.positions[start + 1 :], offset + start)
    count_up(out.blocks[start + 1 :], 1, rule["block_positions"])
    return start + 1


@helper
def write_shifted(
    text: Text, start: int, rule: Any, frame: Frame, out: Columns, ignore: int
) -> int:
    """`assemble.assemble_next_token` and `assemble_prefix_lm`."""
    size = len(text) - 1
    fill_front(out, size, offset_of(rule, frame, size - 1), ignore)
    copy(out.tokens, text[:-1])
    copy(out.labels[start - 1 :], text[start:])
    return start if rule["form"] == PREFIX_LM else 0


@helper
def write_sentinels(
    text: Text, spans: Spans, rule: Any, frame: Frame, out: Columns, ignore: int
) -> int:
    """`assemble.assemble_sentinels`."""
    boundary = write_part_a(text, spans, rule, out)
    fill_front(out, boundary, offset_of(rule, frame, boundary - 1), ignore)
    at = boundary
    out.tokens[at] = rule["start"]
    for index in range(len(spans.order)):
        span = spans.order[index]
        out.labels[at] = out.tokens[at + 1] = sentinel(rule, index)
        at += 1
        for place in range(spans.starts[span], spans.stops[span]):
            out.labels[at] = out.tokens[at + 1] = text[place]
            at += 1
    out.labels[at] = rule["end"]
    fill(out.positions[boundary:], rule["window_tokens"])
    count_up(out.blocks[boundary:], 1, 1)
    return boundary


@helper
def write_in_place(
    text: Text, spans: Spans, rule: Any, frame: Frame, out: Columns, specials: Ints
) -> int:
    """`assemble.assemble_in_place`, but for the columns that `fill_front` gives."""
    copy(out.tokens, text)
    replace = state_of(frame.key, frame.number, REPLACE)
    random = state_of(frame.key, frame.number, RANDOM_TOKENS)
    hidden = 0
    for index in range(len(spans.order)):
        span = spans.order[index]
        draw = bits32_at(replace, index)
        for place in range(spans.starts[span], spans.stops[span]):
            out.labels[place] = text[place]
            if draw < rule["masked"]:
                out.tokens[place] = rule["mask"]
            elif draw < rule["randomised"]:
                ordinary = below_at(random, hidden, rule["ordinary_tokens"])
                out.tokens[place] = ordinary + specials_up_to(specials, ordinary)
            hidden += 1
    return len(text)


@helper
def specials_up_to(specials: Ints, ordinary: int) -> int:
    """How many special ids lie at or below the ordinary token of that number.

    `specials` holds each special id less the number of those before it, ascending.
    """
    low, high = 0, len(specials)
    while low < high:
        middle = (low + high) // 2
        if specials[middle] <= ordinary:
            low = middle + 1
        else:
            high = middle
    return low
