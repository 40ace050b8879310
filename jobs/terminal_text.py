"""Runs of a sample's text as coloured, shortened text for a terminal.

Used by `inspect_terminal.py` and `trace_view.py`.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.text import Text

from jobs.pages.visible_text import Run

_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#8c9eff", "#ff8a50", "#cc79a7")
"""Told apart by colour-blind readers (Okabe and Ito), and numbered wherever they stand."""

_LONG_TEXT, _LONG_RUN = 900, 120


def span_style(span: int) -> str:
    """Style of what belongs to a span; empty for 0."""
    return f"black on {_COLOURS[(span - 1) % len(_COLOURS)]}" if span else ""


def marked_text(runs: Sequence[Run], everything: bool) -> Text:
    """Runs one after another; what belongs to span 1 stands in `{1: }`, in colour or not."""
    total, text = sum(len(run.text) for run in runs), Text()
    for span, group in groupby(runs, key=lambda run: run.span):
        if span:
            text.append(f"{{{span}: ", style=f"bold {span_style(span)}")
        for run in group:
            shown = run.text if everything or total < _LONG_TEXT else _shortened(run.text)
            if run.is_special and not span:
                text.append(f" {shown} ", style="bold")
            else:
                text.append(shown, style=span_style(span))
        if span:
            text.append("}", style=f"bold {span_style(span)}")
    return text


def _shortened(text: str) -> str:
    left_out = len(text) - _LONG_RUN
    if left_out <= 0:
        return text
    half = _LONG_RUN // 2
    return f"{text[:half]} … {left_out} characters … {text[-half:]}"


def plain_text(runs: Iterable[Run], everything: bool) -> Text:
    """Runs one after another, those of special tokens bold and apart."""
    text = Text()
    for run in runs:
        shown = run.text if everything else _shortened(run.text)
        text.append(
            f" {shown} " if run.is_special else shown, style="bold" if run.is_special else ""
        )
    return text
