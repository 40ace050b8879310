"""spans -> rows, compiled: the loop over windows that writes their samples.

`compiled_forms.py` has the forms; here each window gets its text, its place and its three numbers.
"""

from typing import Any, NamedTuple

from numpy.typing import NDArray

from pipeline.engines.compiled_cache import helper, kernel
from pipeline.engines.compiled_columns import (
    IN_BLANKS,
    IN_PLACE,
    IN_PREFIX,
    IN_SENTINELS,
    Columns,
    Spans,
    Text,
    copy,
    fill_front,
    offset_of,
)
from pipeline.engines.compiled_draws import Frame, Ints, Windows, frame_of
from pipeline.engines.compiled_forms import (
    write_blanks,
    write_in_place,
    write_prefix,
    write_sentinels,
    write_shifted,
)
from pipeline.engines.compiled_marks import Bits, collect, mark


class Layout(NamedTuple):
    """`RowFormat.slices`: where the parts of a row begin; its sizes; the label of no prediction."""

    labels: int
    positions: int
    blocks: int
    lengths: int
    boundaries: int
    objectives: int
    row_tokens: int
    max_samples: int
    ignore: int


class Placed(NamedTuple):
    """A `SpanBatch`, and a `Placement` of its samples."""

    starts: Ints
    stops: Ints
    edges: Ints
    rows: Ints
    firsts: Ints
    places: Ints


class Memory(NamedTuple):
    """Scratch for one window at a time; `bits` are all 0 between uses."""

    text: Text
    part_a: Text
    bits: Bits
    numbers: Ints
    order: Ints
    places: Ints


@kernel
def write(
    windows: Windows,
    placed: Placed,
    rules: Any,
    specials: Ints,
    values: NDArray[Any],
    layout: Layout,
    memory: Memory,
) -> int:
    """Write all samples; -1, or the first window whose sample does not fit in its row.

    Seven parameters, because numba knows no dataclass: what is not of one kind stays a parameter.
    """
    for index in range(len(windows.lengths)):
        objective = windows.objectives[index]
        rule, frame = rules[objective], frame_of(windows, index)
        inside = slice(placed.edges[index], placed.edges[index + 1])
        size = size_of(rule, frame.size, inside.stop - inside.start)
        row, first, place = placed.rows[index], placed.firsts[index], placed.places[index]
        if not (0 <= row < len(values) and 0 <= first <= layout.row_tokens - size):
            return index
        if not 0 <= place < layout.max_samples or too_many(rule, inside.stop - inside.start):
            return index
        numbers = values[row]
        out = Columns(
            numbers[first : first + size],
            numbers[layout.labels + first : layout.labels + first + size],
            numbers[layout.positions + first : layout.positions + first + size],
            numbers[layout.blocks + first : layout.blocks + first + size],
        )
        text, starts = framed(windows, index, rule, memory.text), placed.starts[inside]
        spans = Spans(
            starts,
            placed.stops[inside],
            in_text_order(starts, frame.size, memory),
            memory.places,
            memory.text,
            memory.part_a,
        )
        of_rule = specials[rule["first_special"] : rule["stop_special"]]
        boundary = write_form(text, spans, rule, frame, out, layout.ignore, of_rule)
        numbers[layout.lengths + place] = size
        numbers[layout.boundaries + place] = boundary
        numbers[layout.objectives + place] = objective + 1
    return -1


@helper
def size_of(rule: Any, window_tokens: int, spans: int) -> int:
    """`Form.size`."""
    if rule["form"] == IN_BLANKS:
        return window_tokens + 2 * spans
    if rule["form"] == IN_SENTINELS:
        return window_tokens + 2 * spans + 1
    if rule["form"] == IN_PREFIX:
        return window_tokens + 1
    return window_tokens if rule["form"] == IN_PLACE else window_tokens - 1


@helper
def too_many(rule: Any, spans: int) -> bool:
    """True where the sentinels do not suffice."""
    is_numbered = rule["form"] == IN_SENTINELS or (rule["form"] == IN_BLANKS and rule["sentinels"])
    return bool(is_numbered and spans - 1 > rule["num_sentinels"])


@helper
def framed(windows: Windows, index: int, rule: Any, memory: Text) -> Text:
    """The tokens of window `index`, with [CLS] and eos where they belong."""
    offset, length, first = windows.offsets[index], windows.lengths[index], windows.cls
    memory[0] = rule["cls"]
    copy(memory[first:], windows.tokens[offset : offset + length])
    if windows.eos:
        memory[first + length] = rule["eos"]
    return memory[: first + length + windows.eos]


@helper
def in_text_order(starts: Ints, bound: int, memory: Memory) -> Ints:
    """The numbers of the spans, by ascending start; these are below `bound`."""
    order = memory.order[: len(starts)]
    is_ascending = True
    for span in range(len(starts)):
        order[span] = span
        is_ascending = is_ascending and (span == 0 or starts[span - 1] < starts[span])
    if is_ascending:
        return order
    for span in range(len(starts)):
        memory.numbers[starts[span]] = span
        mark(memory.bits, starts[span])
    collect(memory.bits, bound, order)
    for index in range(len(starts)):
        order[index] = memory.numbers[order[index]]
    return order


@helper
def write_form(
    text: Text, spans: Spans, rule: Any, frame: Frame, out: Columns, ignore: int, specials: Ints
) -> int:
    """Fill the columns of one sample in the form of its rule; the length of its part A."""
    if rule["form"] == IN_BLANKS:
        return write_blanks(text, spans, rule, frame, out, ignore)
    if rule["form"] == IN_SENTINELS:
        return write_sentinels(text, spans, rule, frame, out, ignore)
    if rule["form"] == IN_PREFIX:
        return write_prefix(text, spans.starts[0], rule, frame, out, ignore)
    if rule["form"] == IN_PLACE:
        fill_front(out, len(text), offset_of(rule, frame, len(text) - 1), ignore)
        return write_in_place(text, spans, rule, frame, out, specials)
    return write_shifted(text, spans.starts[0], rule, frame, out, ignore)
