"""Charts of the statistics of a data set as inline SVG: bars of what was found, a line for a law.

Drawn for the summary page. Equal numbers give equal text; sizes and colours are the style's
(`summary_assets.py`). Every number of a chart stands in a table beside it (`summary_figures.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jobs.pages.svg_parts import Caption, number, svg, text

_HEIGHT = 196
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 352, 10, 154
_TICK_LINE, _TITLE_LINE = 170, 190
_MAX_TICKS = 6

Scale = Callable[[float], float]
"""A number of the data -> a place in the picture."""


class Bin(NamedTuple):
    """One bar: `found`, `share` of all, are between `start` and `stop` of the axis; the share `law`
    was declared, None where none was. `label` says for people which values are in it."""

    start: float
    stop: float
    found: float
    share: float
    label: str
    law: float | None = None

    @property
    def height(self) -> float:
        """Share for each unit of the axis, so that a bar's area is its share."""
        return self.share / (self.stop - self.start)

    @property
    def law_height(self) -> float:
        """The same of the law; 0 where there is none."""
        return (self.law or 0.0) / (self.stop - self.start)


@dataclass(frozen=True)
class Axis:
    """Below a histogram: what it shows, and where which text stands."""

    title: str
    ticks: tuple[tuple[float, str], ...]


def histogram(caption: Caption, bins: Sequence[Bin], axis: Axis) -> str:
    """Bars over a common base, and the line of a law."""
    first, last = bins[0].start, bins[-1].stop
    top = max(max(one.height, one.law_height) for one in bins) or 1.0

    def across(value: float) -> float:
        return _LEFT + (value - first) / (last - first) * (_RIGHT - _LEFT)

    def up(share: float) -> float:
        return _BOTTOM - share / top * (_BOTTOM - _TOP)

    parts = [_grid(top, up)]
    parts += [_bar(one, across, up) for one in bins if one.height]
    if any(one.law is not None for one in bins):
        parts.append(_law_line(bins, across, up))
    for value, label in axis.ticks:
        parts.append(_tick(across(value), label))
    parts.append(text((_LEFT + _RIGHT) / 2, _TITLE_LINE, axis.title, "middle"))
    return svg(caption, _HEIGHT, "".join(parts))


def _grid(top: float, up: Scale) -> str:
    lines = []
    for share in (0.0, top / 2, top):
        place = number(up(share))
        lines.append(f'<path class="line" d="M{_LEFT} {place}H{_RIGHT}"/>')
        lines.append(text(_LEFT - 4, up(share) + 4, _share(share, top), "end"))
    return "".join(lines)


def _tick(place: float, label: str) -> str:
    """The text below a place of the axis, kept within the picture at both ends."""
    anchor = "end" if place > _RIGHT - 12 else "start" if place < _LEFT + 4 else "middle"
    return text(place, _TICK_LINE, label, anchor)


def _bar(one: Bin, across: Scale, up: Scale) -> str:
    left, right = across(one.start), across(one.stop)
    gap = min(0.8, (right - left) / 8)
    place, size = up(one.height), up(0.0) - up(one.height)
    return (
        f'<rect class="found" x="{number(left + gap)}" y="{number(place)}" '
        f'width="{number(right - left - 2 * gap)}" height="{number(size)}"/>'
    )


def _law_line(bins: Sequence[Bin], across: Scale, up: Scale) -> str:
    steps = "".join(
        f"{'L' if place else 'M'}{number(across(one.start))} {number(up(one.law_height))}"
        f"H{number(across(one.stop))}"
        for place, one in enumerate(bins)
    )
    return f'<path class="law" d="{steps}"/>'


def even_ticks(first: float, last: float, unit: str = "") -> tuple[tuple[float, str], ...]:
    """Round numbers within `first`..`last`, six at most."""
    step = 1.0
    while (last - first) / step > _MAX_TICKS - 1:
        digits = str(round(step))
        step = step * 2.5 if digits.startswith("2") else step * 2
    value, ticks = -(-first // step) * step, []
    while value <= last:
        ticks.append((value, f"{value:,.0f}{unit}"))
        value += step
    return tuple(ticks)


def _share(share: float, top: float) -> str:
    digits = 0 if top >= 0.1 else 1 if top >= 0.01 else 2
    return f"{100 * share:.{digits}f} %"
