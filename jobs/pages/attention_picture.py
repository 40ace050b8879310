"""Who sees whom, as a picture: GLM's mask is a band of columns and stairs, not a grid of cells.

Used by `inspect_terminal.py` (block characters) and `inspect_page.py` (SVG). The rule is that of
`model/attention.py`: a token sees part A of its sample, and what is not later than itself.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from schemas.samples import Span

GRID_TOKENS = 64
"""Up to so many tokens the cells of the picture have lines between them."""

_HALVES = " ▄▀█"


class Area(NamedTuple):
    """Cells that are seen: `rows` look, `columns` are looked at, both half-open.

    With `is_stairs` rows and columns are the same range, and a row sees what is not later. `span`
    is the number of the span that the columns belong to, 0 for none.
    """

    rows: Span
    columns: Span
    is_stairs: bool
    span: int = 0


def mask_areas(boundary: int, owners: Sequence[int], first: int = 0) -> list[Area]:
    """The mask of one sample whose first token is token `first` of the row, as disjoint areas.

    `owners` (length,) are the spans' numbers; in part B each run of them is an area of its own.
    """
    stop, areas = first + len(owners), []
    if boundary:
        areas.append(Area(Span(first, stop), Span(first, first + boundary), False))
    start = first + boundary
    for owner, group in groupby(owners[boundary:]):
        columns = Span(start, start + len(list(group)))
        areas.append(Area(columns, columns, True, owner))
        if columns.stop < stop:
            areas.append(Area(Span(columns.stop, stop), columns, False, owner))
        start = columns.stop
    return areas


def padding_areas(first: int, stop: int) -> list[Area]:
    """The mask of padding, the tokens `first..stop` of a row: each sees itself alone."""
    cells = [Span(place, place + 1) for place in range(first, stop)]
    return [Area(cell, cell, True) for cell in cells]


def svg_path(areas: Sequence[Area]) -> str:
    """The areas as one SVG path, a token being one unit wide and high."""
    return "".join(map(_area_path, areas))


def _area_path(area: Area) -> str:
    (top, bottom), (left, right) = area.rows, area.columns
    if not area.is_stairs:
        return f"M{left} {top}H{right}V{bottom}H{left}Z"
    return f"M{left} {top}{'h1v1' * (right - left)}H{left}Z"


def block_picture(length: int, boundary: int, max_columns: int) -> list[str]:
    """The mask of one sample in lines of block characters, each two cells high.

    At most `max_columns` wide; up to that length a cell is exactly one pair of tokens, beyond it is
    the pair in its middle.
    """
    size = min(length, max_columns)
    tokens = [pixel_token(pixel, size, length) for pixel in range(size)]
    lines = []
    for upper in range(0, size, 2):
        pair = [
            _seen_from(tokens[row], tokens, boundary) for row in range(upper, min(upper + 2, size))
        ]
        lower = pair[1] if len(pair) > 1 else [False] * size
        cells = zip(pair[0], lower, strict=True)
        lines.append("".join(_HALVES[2 * above + below] for above, below in cells))
    return lines


def pixel_token(pixel: int, size: int, length: int) -> int:
    """The token in the middle of one of the `size` pixels that stand for `length` tokens."""
    return (2 * pixel + 1) * length // (2 * size)


def _seen_from(row: int, columns: Sequence[int], boundary: int) -> list[bool]:
    return [column < boundary or column <= row for column in columns]


def sample_svg(boundary: int, owners: Sequence[int], title: str) -> str:
    """The mask of one sample, with rulers that show both parts and the spans, numbered."""
    size = len(owners)
    shapes = [
        f'<path class="{colour_class(owner)}" d="{svg_path(areas)}"/>'
        for owner, areas in _by_span(mask_areas(boundary, owners))
    ]
    edges = f"M{boundary} 0V{size}M0 {boundary}H{size}" if 0 < boundary < size else ""
    lines = [f'<path class="edge" d="{edges}M0 0H{size}V{size}H0Z"/>']
    if size <= GRID_TOKENS:
        inside = "".join(f"M{place} 0V{size}M0 {place}H{size}" for place in range(1, size))
        lines.insert(0, f'<path class="lines" d="{inside}"/>')
    shapes += [*lines, *_rulers(boundary, owners)]
    return _svg((size, _margin(size)), title, shapes, ([size], [boundary]))


def row_svg(boundaries: Sequence[int], lengths: Sequence[int], size: int, title: str) -> str:
    """The mask of a whole row of `size` tokens: one square for each packed sample, then padding.

    Each square is a link to `#sample-N`.
    """
    shapes, first = [], 0
    for number, (boundary, length) in enumerate(zip(boundaries, lengths, strict=True)):
        areas = mask_areas(boundary, [0] * boundary + [1] * (length - boundary), first)
        parts = [
            f'<path class="{"part-b" if owner else "c0"}" d="{svg_path(group)}"/>'
            for owner, group in _by_span(areas)
        ]
        stop = first + length
        square = f'<path class="edge" d="M{first} {first}H{stop}V{stop}H{first}Z"/>'
        label = _label(stop - 0.02 * size, first + 0.055 * size, str(number), 0.045 * size, "end")
        shown = label if length >= 0.07 * size else ""
        inside = "".join(parts) + square + shown
        shapes.append(f'<a href="#sample-{number}"><title>sample {number}</title>{inside}</a>')
        first = stop
    padding = svg_path(padding_areas(first, size))
    shapes.append(f'<path class="padding" d="{padding}"/>' if padding else "")
    shapes.append(f'<path class="edge" d="M0 0H{size}V{size}H0Z"/>')
    return _svg((size, 0.01 * size), title, shapes, (lengths, boundaries))


def colour_class(span: int) -> str:
    """CSS class of a span's colour; seven colours take turns, 0 is what belongs to no span."""
    return f"c{(span - 1) % 7 + 1}" if span else "c0"


def _by_span(areas: Sequence[Area]) -> list[tuple[int, list[Area]]]:
    owners = dict.fromkeys(area.span for area in areas)
    return [(owner, [area for area in areas if area.span == owner]) for owner in owners]


def _svg(
    extent: tuple[int, float],
    title: str,
    shapes: Sequence[str],
    layout: tuple[Sequence[int], Sequence[int]],
) -> str:
    """The element around `shapes`; `extent` is (tokens, margin above and to the left)."""
    size, margin = extent
    lengths, boundaries = (" ".join(map(str, part)) for part in layout)
    return (
        f'<svg class="mask" role="img" viewBox="{-margin:g} {-margin:g} '
        f'{1.01 * size + margin:g} {1.01 * size + margin:g}" data-size="{size}" '
        f'data-lengths="{lengths}" data-boundaries="{boundaries}">'
        f"<title>{title}</title>{''.join(shapes)}</svg>"
    )


def _margin(size: int) -> float:
    return round(0.12 * size, 3)


def _rulers(boundary: int, owners: Sequence[int]) -> list[str]:
    """Strips above and to the left: neutral for what belongs to no span, else the span's colour."""
    size, parts, start = len(owners), [], 0
    margin = _margin(size)
    place, thick = round(-0.25 * margin, 3), round(0.2 * margin, 3)
    for owner, group in groupby(owners):
        width = len(list(group))
        parts.append(
            f'<path class="{colour_class(owner)}" d="M{start} {place}h{width}v{thick}h-{width}z'
            f'M{place} {start}h{thick}v{width}h-{thick}z"/>'
        )
        if owner and width >= 0.022 * size * len(str(owner)):
            parts += _named(str(owner), start + width / 2, 0.32 * margin, 0.3 * margin)
        start += width
    for name, first, stop in (("A", 0, boundary), ("B", boundary, size)):
        if stop - first >= 0.04 * size:
            parts += _named(name, (first + stop) / 2, 0.66 * margin, 0.33 * margin)
    return parts


def _named(text: str, middle: float, away: float, size: float) -> list[str]:
    """`text` above and to the left of the picture, `away` from its edge."""
    return [
        _label(middle, -away, text, size),
        _label(-away, middle + 0.35 * size, text, size, "end"),
    ]


def _label(x: float, y: float, text: str, size: float, anchor: str = "middle") -> str:
    at = f'x="{round(x, 2):g}" y="{round(y, 2):g}" font-size="{round(size, 2):g}"'
    return f'<text {at} text-anchor="{anchor}">{text}</text>'
