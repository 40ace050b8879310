"""The arrays of a sample as HTML tables: a column for a token, lines that fit the page.

Used by `inspect_page.py`. Every token of the sample is in it, escaped.
"""

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from jobs.pages.attention_picture import colour_class
from jobs.pages.visible_text import count
from jobs.sample_view import SampleView
from schemas.samples import Span

_LINE_PIXELS, _LEAST_PIXELS = 1030, 32
_CHARACTER_PIXELS, _BORDER_PIXELS = 8, 12
_CELL_CHARACTERS = 24
_LONG_PART = 160
_ROW_NAMES = ("index", "token", "label", "position", "block position")


def token_grids(view: SampleView) -> str:
    """The tables of both parts; a long part A before a part B is folded up."""
    boundary, parts = view.sample.boundary, []
    badges = np.where(_is_first(view.owners), view.owners, 0).tolist()
    columns = zip(view.pieces, view.labels, badges, strict=True)
    widths = [_pixels((piece, label), badge) for piece, label, badge in columns]
    cells = list(_rows(view))
    for name, part in (("A", Span(0, boundary)), ("B", Span(boundary, view.length))):
        tables = "".join(_table(cells, line) for line in _lines(widths, part))
        size = part.stop - part.start
        if not size:
            continue
        opened = " open" if size == view.length or name == "B" or size <= _LONG_PART else ""
        parts.append(
            f"<details{opened}><summary>Part {name}: {count(size, 'token')}</summary>"
            f'<div class="grid">{tables}</div></details>'
        )
    return "".join(parts)


def _pixels(texts: tuple[str, str], badge: int) -> int:
    """Width of a column with `texts` and, unless 0, a span's number, on a page at its widest."""
    characters = min(_CELL_CHARACTERS, max(map(cell_len, texts)))
    number = len(str(badge)) * _CHARACTER_PIXELS + _BORDER_PIXELS if badge else 0
    return max(_LEAST_PIXELS, characters * _CHARACTER_PIXELS + _BORDER_PIXELS) + number


def _is_first(owners: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a stretch of one span begins."""
    first: NDArray[np.bool_] = (np.diff(owners, prepend=0) != 0) & (owners > 0)
    return first


def _lines(widths: Sequence[int], part: Span) -> Iterator[Span]:
    """Cut a part into lines that fit the page."""
    first, used = part.start, 0
    for place in range(part.start, part.stop):
        if place > first and used + widths[place] > _LINE_PIXELS:
            yield Span(first, place)
            first, used = place, 0
        used += widths[place]
    if part.stop > first:
        yield Span(first, part.stop)


def _rows(view: SampleView) -> Iterator[list[str]]:
    """The cells of the five rows of the grid, for all tokens."""
    sample = view.sample
    yield [f"<td>{place}</td>" for place in range(view.length)]
    yield _cells("k", view, (view.pieces, view.owners, sample.tokens))
    yield _cells("l", view, (view.labels, view.label_owners, sample.labels))
    yield [f"<td>{position}</td>" for position in sample.positions.tolist()]
    yield [f"<td>{position}</td>" for position in sample.block_positions.tolist()]


def _cells(
    row: str, view: SampleView, columns: tuple[list[str], NDArray[np.int64], NDArray[np.int32]]
) -> list[str]:
    """Cells of tokens or labels; the first of a span's stretch shows the span's number."""
    pieces, owners, ids = columns
    special = view.rules.special.ids(view.rules.vocab_size)
    is_special = np.isin(ids, special).tolist()
    is_first = _is_first(owners).tolist()
    cells = []
    for place, (piece, owner) in enumerate(zip(pieces, owners.tolist(), strict=True)):
        first = is_first[place] and row == "k"
        names = [row] + ["z"] * is_special[place] + [colour_class(owner)] * (owner > 0)
        names += ["f"] * first
        cells.append(_cell(piece, " ".join(names), owner))
    return cells


def _cell(piece: str, names: str, owner: int) -> str:
    if not piece:
        return '<td class="o">·</td>'
    linked = f' data-s="{owner}"' if owner else ""
    shown = piece.replace("\n", "↵").replace("\t", "⇥")
    short = shown if cell_len(shown) <= _CELL_CHARACTERS else f"{shown[: _CELL_CHARACTERS - 2]}…"
    title = f' title="{escape(shown)}"' if short != shown else ""
    return f'<td class="{names}"{linked}{title}>{escape(short)}</td>'


def _table(cells: Sequence[Sequence[str]], line: Span) -> str:
    rows = (
        f'<tr{" class=i" if name == "index" else ""}><th scope="row">{name}</th>'
        f"{''.join(row[line.start : line.stop])}</tr>"
        for name, row in zip(_ROW_NAMES, cells, strict=True)
    )
    return f"<table>{''.join(rows)}</table>"
