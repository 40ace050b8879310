"""How fast a build is and how long it will take, from what it did lately.

Used by the live screen, the plain lines and the status file.
"""

from collections import deque
from typing import NamedTuple

from jobs.progress.build_state import BuildState

WINDOW_SECONDS = 30.0
SAMPLE_SECONDS = 0.5


class Pace(NamedTuple):
    """Per second: items, rows, bytes of text (UTF-8), bytes of input as stored."""

    items: float = 0.0
    rows: float = 0.0
    text_bytes: float = 0.0
    source_bytes: float = 0.0


class _Sample(NamedTuple):
    time: float
    items: int
    rows: int
    text_bytes: int
    source_bytes: int


class BuildSpeed:
    """The mean over a sliding window: the last 30 s, or longer until each worker could have
    finished an item in it, so that large items do not make it jump.

    Times are of `time.monotonic`; those of one object must not run backwards.
    """

    def __init__(self, state: BuildState, now: float) -> None:
        self._state = state
        self._samples = deque([_sample(state, now)])

    def pace(self, now: float) -> Pace:
        """Speed up to `now`; zeros in the first moments. Cheap enough for every redraw."""
        latest = _sample(self._state, now)
        self._forget(latest)
        if now - self._samples[-1].time >= SAMPLE_SECONDS:
            self._samples.append(latest)
        first = self._samples[0]
        seconds = now - first.time
        if seconds <= 0:
            return Pace()
        return Pace(
            (latest.items - first.items) / seconds,
            (latest.rows - first.rows) / seconds,
            (latest.text_bytes - first.text_bytes) / seconds,
            (latest.source_bytes - first.source_bytes) / seconds,
        )

    def seconds_left(self, now: float) -> float | None:
        """Seconds to the last item: by bytes of input where their sum is known, else by items.

        Items built `before` are taken to be as large as the others. None while nothing can be said.
        """
        state, pace = self._state, self.pace(now)
        items = state.total - state.before - state.done
        if items <= 0:
            return 0.0
        asked = state.total_source_bytes * (state.total - state.before) / state.total
        if asked > state.source_bytes and pace.source_bytes > 0:
            return (asked - state.source_bytes) / pace.source_bytes
        return items / pace.items if pace.items > 0 else None

    def _forget(self, latest: _Sample) -> None:
        """Drop what is behind the window: where it begins is kept."""
        enough = max(1, self._state.num_workers, len(self._state.workers))
        while len(self._samples) > 1:
            second = self._samples[1]
            is_long = latest.time - second.time >= WINDOW_SECONDS
            if not is_long or latest.items - second.items < enough:
                break
            self._samples.popleft()


def _sample(state: BuildState, now: float) -> _Sample:
    return _Sample(now, state.done, state.rows, state.text_bytes, state.source_bytes)
