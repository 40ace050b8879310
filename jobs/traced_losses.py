"""The losses of the samples behind a step, as the training recorded them.

Stands between `sample_losses.py`, which knows the files, and `trace.py`.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from jobs.sample_losses import recorded_losses
from schemas.errors import RunError


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


def losses_of(run: Path, step: int, rows: range) -> Losses:
    """The losses of every sample of the stream's `rows`, which `step` took.

    Raises `RunError` where they were not recorded, and as `recorded_losses`.
    """
    found: Losses = {}
    for part in recorded_losses(run, step):
        pairs = zip(part.num_labels.tolist(), part.sums.tolist(), strict=True)
        samples = [SampleLoss(*pair) for pair in pairs]
        edges = pairwise(accumulate(part.num_samples.tolist(), initial=0))
        found |= {row: samples[a:b] for row, (a, b) in enumerate(edges, start=part.first_row)}
    missing = [row for row in rows if row not in found]
    if missing:
        raise RunError(
            f"{run}: no losses of step {step} were recorded for row {missing[0]} "
            f"and {len(missing) - 1} others; train with train.record_losses=true, which a run that "
            "goes on may begin with"
        )
    return found
