"""Pieces of an inline SVG picture: its frame, a text, a number. Equal input gives equal text."""

from html import escape
from typing import NamedTuple

WIDTH = 360
"""Units across a chart; a page shows it about so many pixels wide."""


class Caption(NamedTuple):
    """What a chart is to those who do not see it; `number` makes its ids unique in the page."""

    number: str
    title: str
    about: str


def svg(caption: Caption, height: int, content: str) -> str:
    """The picture, `WIDTH` by `height` units, with what it is called and what it says."""
    ids = [f"{caption.number}-{part}" for part in ("title", "about")]
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-labelledby="{" ".join(ids)}"><title id="{ids[0]}">{escape(caption.title)}</title>'
        f'<desc id="{ids[1]}">{escape(caption.about)}</desc>{content}</svg>'
    )


def text(x: float, y: float, content: str, anchor: str) -> str:
    """`content` at a place; `anchor` is `start`, `middle` or `end`."""
    place = f'x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(content)}</text>"


def number(value: float) -> str:
    """Two digits behind the point at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
