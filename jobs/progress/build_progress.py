"""What a person sees of a build: a live screen on a terminal, plain lines elsewhere.

Stands between `build_dataset` and the console; `build_screen.py` draws, `build_speed.py` reckons.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import RenderableType
from rich.live import Live
from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.spinner import Spinner

from jobs.console import PROGRESS, is_interactive, note
from jobs.progress.build_lines import end_line, progress_line, start_line
from jobs.progress.build_screen import BuildScreen
from jobs.progress.build_speed import BuildSpeed
from jobs.progress.build_state import BuildState
from jobs.visible import visible

_REDRAWS_PER_SECOND = 4
_LINE_EVERY_SECONDS, _LATER_EVERY_SECONDS = 5.0, 30.0
_LATER_SECONDS = 300.0


class BuildProgress:
    """A `BuildWatcher` for people; a context manager around one build.

    The terminal is as it was before when the context ends, also for an error or a signal that
    `jobs/signals.py` makes one.
    """

    def __init__(self) -> None:
        self._draws = is_interactive() and not PROGRESS.is_dumb_terminal
        self._waiting = Spinner("line", "Starting")
        self._state: BuildState | None = None
        self._speed: BuildSpeed | None = None
        self._next_line = 0.0
        self._drawn: tuple[float, RenderableType] = (0.0, "")
        self._live = Live(
            get_renderable=self._frame,
            console=PROGRESS,
            refresh_per_second=_REDRAWS_PER_SECOND,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> Self:
        if self._draws:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._draws:
            self._live.stop()
        self._end()

    def stage(self, text: str) -> None:
        """Show a stage that has no items; the items, if they were shown, have ended."""
        self._end()
        self._waiting = Spinner("line", visible(text))
        if not self._draws:
            note(text)

    def note(self, text: str) -> None:
        """Print a line that stays."""
        note(text)

    def started(self, state: BuildState) -> None:
        """The items begin; `state` is looked at from here on until the next stage."""
        now = time.monotonic()
        self._speed, self._state = BuildSpeed(state, now), state
        self._next_line = now + _LINE_EVERY_SECONDS
        if not self._draws:
            note(start_line(state))

    def changed(self) -> None:
        """Print a line when one is due: every 5 s, after 5 minutes every 30 s."""
        if self._draws or self._state is None or self._speed is None:
            return
        now = time.monotonic()
        if now < self._next_line:
            return
        is_later = now - self._state.started >= _LATER_SECONDS
        self._next_line = now + (_LATER_EVERY_SECONDS if is_later else _LINE_EVERY_SECONDS)
        note(progress_line(self._state, self._speed, now))

    def _end(self) -> None:
        """Say what the items came to; nothing where no item was tried."""
        state, self._state = self._state, None
        if state is not None and (state.done or state.retries or state.excluded):
            note(end_line(state, time.monotonic()))

    def _frame(self) -> RenderableType:
        """The picture of this moment, made anew at most four times a second."""
        state, speed, now = self._state, self._speed, time.monotonic()
        if state is None or speed is None:
            return self._waiting
        made, picture = self._drawn
        if not made or now - made >= 1 / _REDRAWS_PER_SECOND:
            picture = BuildScreen(state, speed, now)
            self._drawn = now, picture
        return picture


@contextmanager
def bytes_bar(text: str) -> Iterator[Callable[[int], None]]:
    """A bar without a known end over bytes; yields the function that advances it."""
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    disabled = not is_interactive()
    with Progress(*columns, console=PROGRESS, disable=disabled, transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda size: progress.advance(task, size)
