"""A running build as plain text: where there is no terminal, and for what stays on one.

Used by `build_progress.py`.
"""

from jobs.progress.build_speed import BuildSpeed
from jobs.progress.build_state import BuildState


def start_line(state: BuildState) -> str:
    """How many items there are to build, when they begin."""
    before, pending = state.before + state.done, state.total - state.before - state.done
    if not pending:
        return f"All {state.total:,} work items are built"
    return f"Building {pending:,} work items" + (
        f" ({before:,} of {state.total:,} built before)" if before else ""
    )


def progress_line(state: BuildState, speed: BuildSpeed, now: float) -> str:
    """One moment of a build in a line."""
    done, pace = state.before + state.done, speed.pace(now)
    share = done / state.total if state.total else 1.0
    left = speed.seconds_left(now)
    parts = [
        f"{done:,} of {state.total:,} items ({share:.0%})",
        f"{state.rows:,} rows",
        f"{pace.rows:,.0f} rows/s",
        f"{pace.text_bytes / 1e6:,.1f} MB/s of text",
        *_troubles(state),
        f"{duration(now - state.started)} elapsed",
        *([] if left is None else [f"{duration(left)} left"]),
    ]
    return ", ".join(parts)


def end_line(state: BuildState, now: float) -> str:
    """What this driver built, in a line that stays."""
    missing = state.total - state.before - state.done
    speed = state.rows / max(now - state.started, 1e-9)
    parts = [
        f"Built {state.done:,} items in {duration(now - state.started)}",
        *([f"{missing:,} not built"] if missing else []),
        f"{state.rows:,} rows",
        f"{speed:,.0f} rows/s",
        *_troubles(state),
    ]
    return ", ".join(parts)


def _troubles(state: BuildState) -> list[str]:
    named = (
        (state.retries, "retried"),
        (state.bad, "bad input"),
        (state.excluded, "documents excluded"),
    )
    return [f"{number:,} {name}" for number, name in named if number]


def duration(seconds: float) -> str:
    """`h:mm:ss`, rounded to seconds; days as hours."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
