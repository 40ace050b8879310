"""What a person sees of a build: one bar over the work items, or plain lines without a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from jobs.console import PROGRESS, counting_bar, is_interactive, note
from schemas.record import ItemRecord

_LINE_EVERY_SECONDS = 5.0


class BuildProgress:
    """A `BuildWatcher` for people; a context manager around one build."""

    def __init__(self) -> None:
        self._progress = counting_bar()
        self._rows = self._done = self._total = 0
        self._started = self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("Starting", total=None, numbers="")
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def stage(self, text: str) -> None:
        """Show a stage that has no items."""
        self._progress.update(self._task, description=text, total=None, numbers="")
        if not is_interactive():
            note(text)

    def note(self, text: str) -> None:
        """Print a line that stays."""
        note(text)

    def items(self, total: int, done: int) -> None:
        """Start the bar at `done` of `total` items."""
        self._total, self._done = total, done
        self._started = self._last_line = time.monotonic()
        self._progress.update(self._task, description="Building items", total=total, completed=done)
        if not is_interactive():
            note(f"Building {total - done} work items ({done} of {total} built before)")

    def item_done(self, record: ItemRecord) -> None:
        """Advance the bar by one committed item."""
        self._done += 1
        self._rows += sum(shard.rows for shard in record.shards)
        now = time.monotonic()
        speed = f"{self._rows / max(now - self._started, 1e-9):,.0f} rows/s"
        self._progress.update(self._task, advance=1, numbers=speed)
        if not is_interactive() and now - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = now
            note(f"{self._done} of {self._total} items, {self._rows:,} rows, {speed}")


@contextmanager
def bytes_bar(text: str) -> Iterator[Callable[[int], None]]:
    """A bar without a known end over bytes; yields the function that advances it."""
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    disabled = not is_interactive()
    with Progress(*columns, console=PROGRESS, disable=disabled, transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda size: progress.advance(task, size)
