"""The losses of the samples behind a step, as the training recorded them.

Stands between `sample_losses.py`, which knows the files, and `trace.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from jobs.sample_losses import HeldSteps, held_steps, recorded_behind, recorded_losses
from schemas.errors import BlankstreamError, CorruptDataError, RunError


@dataclass(frozen=True)
class SampleLoss:
    """`sum` in nats over `num_labels` labels, as the training recorded it."""

    num_labels: int
    sum: float

    @property
    def mean(self) -> float:
        """Nats per label; 0 without a label."""
        return self.sum / max(1, self.num_labels)


Losses = dict[int, list[SampleLoss]]
"""Row of the stream -> losses of its samples."""


def losses_of(run: Path, step: int, parts: Mapping[int, range], is_recording: bool) -> Losses:
    """The losses of every sample of the stream's rows that each rank of `parts` took in `step`.

    `is_recording` says whether the run records losses since it last went on. Raises `RunError`
    where they were not recorded, `CorruptDataError` with the file where they must have been or
    where it cannot be told, and as `recorded_losses`.
    """
    found: Losses = {}
    for part in recorded_losses(run, step):
        pairs = zip(part.num_labels.tolist(), part.sums.tolist(), strict=True)
        samples = [SampleLoss(*pair) for pair in pairs]
        edges = pairwise(accumulate(part.num_samples.tolist(), initial=0))
        found |= {row: samples[a:b] for row, (a, b) in enumerate(edges, start=part.first_row)}
    for rank, rows in parts.items():
        missing = [row for row in rows if row not in found]
        if missing:
            raise _why_missing(run, step, rank, missing, is_recording)
    return found


def _why_missing(
    run: Path, step: int, rank: int, missing: list[int], is_recording: bool
) -> BlankstreamError:
    """The step was taken, which the metrics prove; whether it was recorded is told by what is there
    and by the configuration of today."""
    held = held_steps(run, rank, step)
    if held.torn_bytes and step > held.last:
        return CorruptDataError(
            f"{held.path}: cut short: {_contents(held)} and {held.torn_bytes} bytes of the next "
            f"one, though step {step} was taken; restore it from a copy"
        )
    if is_recording and step > held.last and not _begins_behind(run, rank, step):
        return CorruptDataError(
            f"{held.path}: {_contents(held)}, not step {step}, and today the run records losses: "
            "the file was cut short or deleted, and is to be restored from a copy, or the step was "
            "taken while train.record_losses was false, and has none"
        )
    return RunError(
        f"{run}: no losses of step {step} were recorded for row {missing[0]} and "
        f"{len(missing) - 1} others ({held.path}: {_contents(held)}); train with "
        "train.record_losses=true, which a run that goes on may begin with"
    )


def _contents(held: HeldSteps) -> str:
    if not held.exists:
        return "there is no such file"
    return f"it holds the steps {held.first}..{held.last}" if held.last else "it holds no step"


def _begins_behind(run: Path, rank: int, step: int) -> bool:
    """Whether losses begin in the middle of a later file: a file in front of it was never made."""
    later = recorded_behind(run, rank, step)
    return later is not None and later.first > later.begins
