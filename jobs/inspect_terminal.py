"""A row in the terminal: text with its blanks in colour, both parts, the arrays and the mask.

Used by `blankstream inspect`. What is long is shortened and says by how much, unless everything is
asked for.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from jobs.pages.attention_picture import block_picture, pixel_token
from jobs.pages.visible_text import count
from jobs.sample_view import RowView, SampleView
from jobs.terminal_text import marked_text, plain_text, span_style

_MASK_COLUMNS = 32
_LONG_SAMPLE, _MOST_COLUMNS = 48, 64
_MOST_SPANS = 8


def render_row(view: RowView, everything: bool = False) -> RenderableType:
    """The row for a terminal; with `everything` no text, span or token is left out."""
    title = (
        f"{view.split} row {view.row}: row {view.index} of {view.shard}, pass {view.pass_number}; "
        f"{count(len(view.samples), 'sample')}, {view.used_tokens} of {view.row_tokens} tokens used"
    )
    parts: list[RenderableType] = [Text(title, style="bold")]
    for number, sample in enumerate(view.samples):
        parts.append(_render_sample(number, sample, everything))
    return Group(*parts)


def _render_sample(number: int, view: SampleView, everything: bool) -> RenderableType:
    origin, boundary = view.origin, view.sample.boundary
    masks = f", mask token {' '.join(view.masks[:3])}" if view.masks else ""
    sizes = (
        f"part A {boundary} + part B {view.length - boundary} = {view.length} tokens; "
        f"{view.num_hidden} of {len(view.window)} hidden in {count(len(view.spans), 'span')}"
    )
    heading = [
        Text(f"\nsample {number}: {view.name}", style="bold underline"),
        Text(f"kind {view.rules.objective.kind}{masks}; {sizes}"),
        Text(
            f"document {origin.document} ({origin.source}, {origin.place}), "
            f"window {origin.window}, tokens {origin.first_token}..{origin.stop_token}"
        ),
    ]
    body: list[tuple[str, RenderableType]] = [("text", marked_text(view.text(), everything))]
    if boundary:
        body.append(("part A, as the model reads it", marked_text(view.part_a(), everything)))
    body.append((_spans_title(view), _spans(view, everything)))
    body.append(("tokens", TokenLines(view, everything)))
    body.append(("who sees whom: a line looks at the columns that are filled", _mask(view)))
    parts: list[RenderableType] = [*heading]
    for name, content in body:
        parts += [Text(f"\n{name}", style="bold"), Padding(content, (0, 0, 0, 2), expand=False)]
    return Group(*parts)


def _spans_title(view: SampleView) -> str:
    if view.sample.boundary == view.length:
        return "no part B: predicted where it stands"
    return "part B in its order: what is read, and what is predicted for it"


def _spans(view: SampleView, everything: bool) -> Text:
    text = Text()
    shown = view.spans if everything else view.spans[:_MOST_SPANS]
    for span in shown:
        fate = f" ({view.fate(span)})" if view.sample.boundary == view.length else ""
        text.append(f" {span.number} ", style=f"bold {span_style(span.number)}").append(" ")
        text.append_text(plain_text(view.reads(span), everything)).append(f"{fate}  →  ")
        text.append_text(plain_text(view.predicts(span), everything)).append("\n")
    left_out = len(view.spans) - len(shown)
    text.append(f"… and {left_out} more spans; --tokens shows them\n" if left_out else "")
    text.rstrip()
    return text


def _mask(view: SampleView) -> Text:
    """The picture under a ruler; a column has the colour of the span that it belongs to."""
    owners, boundary, length = view.owners.tolist(), view.sample.boundary, view.length
    lines = block_picture(length, boundary, _MASK_COLUMNS)
    size = len(lines[0])
    tokens = [pixel_token(pixel, size, length) for pixel in range(size)]
    text = Text()
    for token in tokens:
        owner = owners[token]
        name = str(owner % 10) if owner else "AB"[token >= boundary]
        text.append(name, style=span_style(owner) or "dim")
    for line in lines:
        text.append("\n")
        for cell, token in zip(line, tokens, strict=True):
            style = span_style(owners[token]).removeprefix("black on ") if token >= boundary else ""
            text.append(cell, style=style)
    return text


class TokenLines:
    """The arrays of a sample, a column for a token, in as many lines as the terminal is narrow."""

    _ROWS = ("index", "token", "label", "position", "block position")

    def __init__(self, view: SampleView, everything: bool) -> None:
        self._view = view
        self._columns = list(_all_columns(view))
        self._places = shown_places(view, everything)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Lines of whole columns; a gap says how many tokens it leaves out."""
        room = options.max_width - len(self._ROWS[-1]) - 2
        line: list[list[Text]] = []
        used = 0
        for column in self._shown():
            width = max(cell.cell_len for cell in column) + 1
            if line and used + width > room:
                yield self._joined(line)
                line, used = [], 0
            line.append(column)
            used += width
        yield self._joined(line)

    def _shown(self) -> Iterator[list[Text]]:
        expected = 0
        for place in [*self._places, len(self._columns)]:
            if place > expected:
                yield [Text(f"…{place - expected}…", style="dim")] + [Text("")] * 4
            if place < len(self._columns):
                yield self._columns[place]
            expected = place + 1

    def _joined(self, line: Sequence[list[Text]]) -> Text:
        text = Text(no_wrap=True, overflow="crop")
        for row, name in enumerate(self._ROWS):
            text.append(f"{name:<{len(self._ROWS[-1])}} ", style="dim")
            for column in line:
                cell, width = column[row], max(part.cell_len for part in column)
                text.append_text(cell).append(" " * (width - cell.cell_len + 1))
            text.append("\n")
        return text


def _all_columns(view: SampleView) -> Iterator[list[Text]]:
    sample = view.sample
    owners, label_owners = view.owners.tolist(), view.label_owners.tolist()
    for place, (piece, label) in enumerate(zip(view.pieces, view.labels, strict=True)):
        part = "A" if place < sample.boundary else "B"
        yield [
            Text(f"{part}{place}", style="dim"),
            Text(_cell(piece), style=span_style(owners[place])),
            Text(
                _cell(label) if label else "·",
                style=span_style(label_owners[place]) if label else "",
            ),
            Text(str(int(sample.positions[place]))),
            Text(str(int(sample.block_positions[place]))),
        ]


def _cell(piece: str) -> str:
    shown = piece.replace("\n", "↵").replace("\t", "⇥")
    return shown if cell_len(shown) <= 24 else f"{shown[:22]}…"


def shown_places(view: SampleView, everything: bool) -> list[int]:
    """Places of the tokens to show: all of a short sample, else what lies around blanks and at the
    ends of spans, from the front of each part."""
    length, boundary = view.length, view.sample.boundary
    if everything or length <= _LONG_SAMPLE:
        return list(range(length))
    near = {0, 1, boundary - 1, boundary, boundary + 1, length - 1}
    for span in view.spans:
        for start, stop in (span.blank, span.inputs):
            if stop > start:
                near |= {*range(start - 2, min(start + 7, stop + 2)), stop - 2, stop - 1, stop}
    inside = _without_small_gaps(sorted(place for place in near if 0 <= place < length))
    part_a = [place for place in inside if place < boundary]
    part_b = [place for place in inside if place >= boundary]
    half = _MOST_COLUMNS // 2
    return (
        part_a[: max(half, _MOST_COLUMNS - len(part_b))]
        + part_b[: max(half, _MOST_COLUMNS - len(part_a))]
    )


def _without_small_gaps(places: Sequence[int]) -> list[int]:
    """`places` with what lies between two of them where that is at most two tokens."""
    filled = set(places)
    for left, right in pairwise(places):
        if right - left <= 3:
            filled |= set(range(left, right))
    return sorted(filled)
