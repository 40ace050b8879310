"""Charts of shares of a whole as inline SVG: bars beside each other's names, one stacked bar.

Drawn for the summary page, as `statistics_charts.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.pages.svg_parts import WIDTH, Caption, number, svg, text

_EDGE = 8
_BAR_HEIGHT, _BAR_STEP = 14, 40


class ShareBar(NamedTuple):
    """One line of `share_bars`: the share found, and the share asked for, None for none."""

    name: str
    found: float
    asked: float | None = None


def share_bars(caption: Caption, bars: Sequence[ShareBar]) -> str:
    """A bar from 0 to 1 for each, with a mark at the share that was asked for."""
    parts, width = [], WIDTH - 2 * _EDGE
    for index, bar in enumerate(bars):
        line = index * _BAR_STEP + 14
        asked = "" if bar.asked is None else f" (asked {100 * bar.asked:.1f} %)"
        parts.append(text(_EDGE, line, f"{bar.name} {100 * bar.found:.1f} %{asked}", "start"))
        below = line + 6
        size = f'y="{below}" height="{_BAR_HEIGHT}"'
        parts.append(f'<rect class="ground" x="{_EDGE}" width="{width}" {size}/>')
        parts.append(
            f'<rect class="found" x="{_EDGE}" width="{number(width * bar.found)}" {size}/>'
        )
        if bar.asked is not None:
            place = number(_EDGE + width * bar.asked)
            parts.append(f'<path class="law" d="M{place} {below - 3}v{_BAR_HEIGHT + 6}"/>')
    return svg(caption, max(1, len(bars)) * _BAR_STEP + 4, "".join(parts))


def stacked_bar(caption: Caption, shares: Sequence[tuple[str, float]]) -> str:
    """One bar of stretches that sum to at most one, each with its name and share in a legend."""
    parts, left, width = [], float(_EDGE), WIDTH - 2 * _EDGE
    parts.append(f'<rect class="ground" x="{_EDGE}" y="8" width="{width}" height="26"/>')
    for index, (name, share) in enumerate(shares):
        size = width * share
        kind = f"part{index + 1}"
        parts.append(
            f'<rect class="{kind}" x="{number(left)}" y="8" width="{number(size)}" height="26"/>'
        )
        line = 54 + 20 * index
        parts.append(f'<rect class="{kind}" x="{_EDGE}" y="{line - 10}" width="12" height="12"/>')
        parts.append(text(26, line, f"{name} {100 * share:.1f} %", "start"))
        left += size
    return svg(caption, 54 + 20 * len(shares), "".join(parts))
