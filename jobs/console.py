"""Where a person is told something: results on standard output, progress and errors beside it."""

import io
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.visible import visible

OUT = Console(highlight=False, soft_wrap=True)
"""Results."""

PROGRESS = Console(stderr=True, highlight=False)
"""Progress bars and messages about how it goes."""


def show_all_characters() -> None:
    """Let standard output and error escape (`\\u4e2d`) what their encoding has no bytes for.

    Call it before anything is printed. Another way of handling errors that was asked for by
    PYTHONIOENCODING stays.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """A line of result; characters that would act on the terminal are named instead."""
    OUT.print(visible(text), markup=False)


def note(text: str) -> None:
    """A line about the progress, as safe as `say`."""
    PROGRESS.print(visible(text), markup=False)


def complain(text: str) -> None:
    """An error on standard error, never wrapped, as safe as `say`."""
    print(f"error: {visible(text)}", file=sys.stderr)


def is_interactive() -> bool:
    """True when bars can be drawn: standard error is a terminal."""
    return sys.stderr.isatty()


def counting_bar() -> Progress:
    """A bar of counted things with their speed or state in the field `numbers`; none elsewhere."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
        console=PROGRESS,
        disable=not is_interactive(),
        transient=True,
    )
