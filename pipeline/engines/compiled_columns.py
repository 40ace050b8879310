"""The columns of one sample in a row, and part A in them: what the compiled forms share.

Columns are narrow and unsigned: what is stored is cut to their type. Loops over whole arrays stand
in functions of their own, where the compiler turns them into vector instructions.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.compiled_cache import helper
from pipeline.engines.compiled_draws import OFFSET, Frame, Ints, below_at, state_of

IN_BLANKS, IN_PREFIX, IN_PLACE, NEXT_TOKEN, PREFIX_LM, IN_SENTINELS = range(6)
"""Codes of the forms, for the field `form` of a rule."""

RUN = 16
"""Tokens copied at once: two vector registers, and about one piece of text between GLM's blanks."""

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
    text: Text
    part_a: Text
    """Memory with the window's tokens, and for part A; both longer than these by a run."""


@helper
def copy(target: NDArray[Any], source: NDArray[Any]) -> None:
    """Write `source` to the front of `target`."""
    for place in range(len(source)):
        target[place] = source[place]


@helper
def copy_runs(target: Text, source: Text, size: int) -> None:
    """Write the first `size` of `source` and what completes the last run of `RUN`.

    For pieces written from left to right, where each covers what the one before wrote too much:
    whole runs take half the time of exact lengths.
    """
    for first in range(0, size, RUN):
        for place in range(RUN):
            target[first + place] = source[first + place]


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
def write_part_a(size: int, spans: Spans, rule: Any, out: Columns) -> int:
    """The tokens of part A of a window of `size`, and `spans.places`; the length of part A."""
    place, kept_from = 0, 0
    for index in range(len(spans.order)):
        span = spans.order[index]
        start = spans.starts[span]
        copy_runs(spans.part_a[place:], spans.text[kept_from:], start - kept_from)
        place += start - kept_from
        mask = rule["mask"]
        if rule["form"] == IN_SENTINELS:
            mask = sentinel(rule, index)
        elif rule["sentinels"]:
            mask = sentinel(rule, span)
        spans.part_a[place] = mask
        spans.places[span] = place
        place += 1
        kept_from = spans.stops[span]
    copy_runs(spans.part_a[place:], spans.text[kept_from:], size - kept_from)
    place += size - kept_from
    copy(out.tokens, spans.part_a[:place])
    return place
