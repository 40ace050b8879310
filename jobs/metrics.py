"""What is known of each step: `RUN/metrics.jsonl` and whoever watches the run.

Written by `train.py`, one line a step; read by people, plots and tests.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from schemas.errors import RunError

METRICS_NAME = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class StepMetrics:
    """One step. `step` counts finished updates, so the first one is 1.

    `loss` is the mean in nats over all labels of the batch, `objective_losses` over those of one
    objective. `grad_norm` is taken before clipping. `tokens_per_second` counts the tokens of
    samples, padding left out; `data_wait_ratio` is the share of the step spent waiting for rows.
    """

    step: int
    loss: float
    objective_losses: dict[str, float]
    lr: float
    grad_norm: float
    tokens_per_second: float
    data_wait_ratio: float
    consumed_rows: int

    def to_mapping(self) -> dict[str, Any]:
        """A flat object: each objective's loss stands as `loss/<objective>`."""
        losses = {f"loss/{name}": value for name, value in self.objective_losses.items()}
        rest = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("step", "loss", "objective_losses")
        }
        return {"step": self.step, "loss": self.loss, **losses, **rest}


class TrainWatcher(Protocol):
    """Sees what a training does; see `train_progress.py`."""

    def started(self, step: int, max_steps: int) -> None:
        """The loop begins behind `step` finished steps."""

    def step_done(self, metrics: StepMetrics) -> None:
        """One step was taken and logged."""

    def checkpoint_saved(self, step: int) -> None:
        """The checkpoint of `step` is complete on disk."""


class SilentWatcher:
    """A `TrainWatcher` that does nothing."""

    def started(self, step: int, max_steps: int) -> None:
        """Ignored."""

    def step_done(self, metrics: StepMetrics) -> None:
        """Ignored."""

    def checkpoint_saved(self, step: int) -> None:
        """Ignored."""


class MetricsLog:
    """Appends to `RUN/metrics.jsonl`; every line is handed to the system when it is written.

    Opening cuts the file back to `step`: later lines and a torn last one are of steps that will be
    taken again. A context manager.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._path = run / METRICS_NAME
        if self._path.exists():
            os.truncate(self._path, _kept_bytes(self._path, step))
        self._file = self._path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def append(self, metrics: StepMetrics) -> None:
        """Write the line of one step."""
        self._file.write(json.dumps(metrics.to_mapping()) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Make what was written survive a loss of power."""
        os.fsync(self._file.fileno())


def read_metrics(run: Path, step: int) -> dict[str, Any]:
    """The line of `step`; `RunError` when the run has not taken it, or lost the line."""
    path, last = run / METRICS_NAME, b""
    wanted = f'{{"step": {step},'.encode()
    try:
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                if line.startswith(wanted):
                    found: dict[str, Any] = json.loads(line)
                    return found | {"loss": float(found["loss"])}
                last = line
        taken = int(json.loads(last)["step"]) if last else 0
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(
            f"{path}: cannot be read ({error}), so it is not known whether step {step} was taken; "
            "restore it from a copy"
        ) from error
    if step <= taken:
        raise RunError(f"{path}: the line of step {step} is missing; restore it from a copy")
    steps = f"the steps 1..{taken}" if taken else "no step yet"
    raise RunError(f"{run}: step {step} was not taken; the run has taken {steps}")


def _kept_bytes(path: Path, step: int) -> int:
    """Length of the longest beginning of whole lines whose steps are at most `step`."""
    kept = 0
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n") or not _is_step_until(line, step):
                break
            kept += len(line)
    return kept


def _is_step_until(line: bytes, step: int) -> bool:
    try:
        return int(json.loads(line)["step"]) <= step
    except (ValueError, KeyError, TypeError):
        return False
