"""spans -> sample, compiled: the forms of `assemble.py`, written straight into a row.

Each form fills the four columns of one sample and returns the length of part A. `text` is the
window's tokens, framed; `ignore` is the label of what is not predicted. Some take more
than five parameters: numba knows no dataclass, and what is not of one kind stays a parameter.
"""

from typing import Any

from numpy.typing import NDArray

from pipeline.engines.compiled_cache import helper
from pipeline.engines.compiled_columns import (
    PREFIX_LM,
    Columns,
    Spans,
    Text,
    copy,
    count_up,
    fill,
    fill_front,
    offset_of,
    sentinel,
    write_part_a,
)
from pipeline.engines.compiled_draws import (
    NOISE,
    RANDOM_TOKENS,
    REPLACE,
    Frame,
    Ints,
    below_at,
    bits32_at,
    state_of,
)


@helper
def write_blanks(
    text: Text, spans: Spans, rule: Any, frame: Frame, out: Columns, ignore: int
) -> int:
    """`assemble.assemble_blanks`."""
    boundary = write_part_a(len(text), spans, rule, out)
    offset = offset_of(rule, frame, boundary - 1)
    fill_front(out, boundary, offset, ignore)
    step, span, place, stop = rule["block_positions"], -1, 0, -1
    token, position, block = 0, 0, 1
    for at in range(boundary, len(out.tokens)):
        if place > stop:
            span += 1
            place, stop, block = spans.starts[span], spans.stops[span], 1
            token, position = rule["start"], offset + spans.places[span]
            if rule["sentinels"]:
                position = rule["window_tokens"]
                if span > 0:
                    token = sentinel(rule, span) + 1
        out.tokens[at] = token
        token = int(text[place] if place < stop else rule["end"])
        out.labels[at] = token
        out.positions[at] = position
        out.blocks[at] = block
        place += 1
        block += step
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
    boundary = write_part_a(len(text), spans, rule, out)
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
