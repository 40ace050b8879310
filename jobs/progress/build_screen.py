"""A running build as lines for a terminal: one picture of one moment, at any width and height.

Drawn by `build_progress.py`. Every stage has a number and a colour, so that the picture is read
without colours, too.
"""

from itertools import pairwise

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from jobs.progress.build_lines import duration
from jobs.progress.build_speed import BuildSpeed
from jobs.progress.build_state import STAGES, BuildState
from jobs.progress.worker_table import worker_table

_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#8c9eff", "#d55e00", "#cc79a7")
_LEAST_TABLE_LINES = 3


class BuildScreen:
    """What is known of `state` at `now` (`time.monotonic`), fitted to the console it is drawn on.

    Where not all workers fit, those longest at their item are shown and the others counted.
    """

    def __init__(self, state: BuildState, speed: BuildSpeed, now: float) -> None:
        self._state, self._now = state, now
        self._pace, self._left = speed.pace(now), speed.seconds_left(now)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        picture = stage_picture(self._state)
        top = Group(self._bar(), self._numbers(), self._troubles(), picture)
        yield top
        room = options.size.height - len(console.render_lines(top, options)) - 1
        if self._state.workers and room >= _LEAST_TABLE_LINES:
            yield worker_table(self._state, self._now, room)

    def _bar(self) -> RenderableType:
        state = self._state
        done = state.before + state.done
        grid = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None):
            grid.add_column(ratio=ratio, no_wrap=True)
        share = done / state.total if state.total else 1.0
        counted = f"{done:,} of {state.total:,} items {share:4.0%}"
        grid.add_row("Building", ProgressBar(total=max(1, state.total), completed=done), counted)
        return grid

    def _numbers(self) -> Text:
        left = "-" if self._left is None else duration(self._left)
        elapsed = duration(self._now - self._state.started)
        pace = self._pace
        return _line(
            f"{left} left  {elapsed} elapsed  {pace.rows:,.0f} rows/s  "
            f"{pace.text_bytes / 1e6:,.1f} MB/s of text  {self._state.rows:,} rows"
        )

    def _troubles(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        for number, name in (
            (self._state.retries, "retried"),
            (self._state.bad, "bad input, in quarantine"),
            (self._state.excluded, "documents excluded"),
        ):
            text.append(f"{number:,} {name}   ", "yellow" if number else "dim")
        return text


def stage_picture(state: BuildState) -> RenderableType:
    """Shares of the workers' time by stage: a stacked bar over its legend."""
    shares = stage_shares(state)
    if not shares:
        return Text("Time by stage: no item finished yet", "dim")
    return Group(_StackedBar(list(shares.values())), _Legend(shares))


def stage_shares(state: BuildState) -> dict[str, float]:
    """Part of the workers' seconds by stage, in the order of the work; empty before any."""
    seconds = dict(state.stage_seconds)
    names = [*STAGES, *sorted(seconds.keys() - set(STAGES))]
    total = sum(seconds.values())
    return {name: seconds.get(name, 0.0) / total for name in names} if total > 0 else {}


class _StackedBar:
    """Shares as stretches of one line; each is its colour, or its number where there is none."""

    def __init__(self, shares: list[float]) -> None:
        self._shares = shares

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fill = " " if console.color_system else ""
        for number, cells in enumerate(split_cells(self._shares, options.max_width)):
            label = str(number + 1)
            text = label.ljust(cells, fill or label)[:cells]
            yield Segment(text, _style(number))
        yield Segment.line()


class _Legend:
    """Number, name and share of each stage, none of them broken at a line's end."""

    def __init__(self, shares: dict[str, float]) -> None:
        self._shares = shares

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = _line("")
        for number, (name, share) in enumerate(self._shares.items()):
            entry = Text.assemble((f" {number + 1} ", _style(number)), f" {name} {share:.0%}  ")
            if line and len(line) + len(entry) - 2 > options.max_width:
                yield line
                line = _line("")
            line += entry
        yield line


def split_cells(shares: list[float], width: int) -> list[int]:
    """`width` cells dealt by shares that sum to one: each within one cell of its share."""
    edges, before = [0], 0.0
    for share in shares:
        before += share
        edges.append(min(width, round(before * width)))
    edges[-1] = width
    return [stop - start for start, stop in pairwise(edges)]


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _style(number: int) -> Style:
    return Style(color="black", bgcolor=_COLOURS[number % len(_COLOURS)])
