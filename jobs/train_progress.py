"""What a person sees of a training: one bar over the steps, or plain lines without a terminal."""

import time
from typing import Self

from jobs.console import counting_bar, is_interactive, note
from jobs.metrics import StepMetrics

_LINE_EVERY_SECONDS = 5.0


class TrainProgress:
    """A `TrainWatcher` for people; a context manager around one training."""

    def __init__(self) -> None:
        self._progress = counting_bar()
        self._first = self._total = 0
        self._started = self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("Starting", total=None, numbers="")
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def started(self, step: int, max_steps: int) -> None:
        """Start the bar at `step` of `max_steps`."""
        self._first, self._total = step, max_steps
        self._started = self._last_line = time.monotonic()
        self._progress.update(self._task, description="Training", total=max_steps, completed=step)
        if not is_interactive():
            after = f", going on behind step {step}" if step else ""
            note(f"Training {max_steps} steps{after}")

    def step_done(self, metrics: StepMetrics) -> None:
        """Advance the bar; a line now and then, and for the last step."""
        numbers = describe(metrics)
        self._progress.update(self._task, completed=metrics.step, numbers=numbers)
        now = time.monotonic()
        is_due = now - self._last_line > _LINE_EVERY_SECONDS or metrics.step == self._total
        if is_due and not is_interactive():
            self._last_line = now
            left = (now - self._started) / max(1, metrics.step - self._first)
            left *= self._total - metrics.step
            note(f"step {metrics.step} of {self._total}: {numbers}, {left:,.0f} s left")

    def checkpoint_saved(self, step: int) -> None:
        """Say so where lines are printed."""
        if not is_interactive():
            note(f"checkpoint of step {step} saved")


def describe(metrics: StepMetrics) -> str:
    """The numbers of one step that a person watches."""
    return (
        f"loss {metrics.loss:.3f}, {metrics.tokens_per_second:,.0f} tokens/s, "
        f"waiting for data {metrics.data_wait_ratio:.0%}"
    )
