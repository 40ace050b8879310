"""One training step: rows -> losses -> gradients -> one update.

The inner part of `train.py`; it knows neither files nor the stream.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import AdamW

from jobs.batches import DeviceBatch, to_device
from jobs.devices import autocast
from jobs.optimizer import learning_rate, set_learning_rate
from model.loss import TokenLosses, token_losses
from model.transformer import GLM
from schemas.errors import BlankstreamError
from schemas.samples import RowFormat
from schemas.train_config import TrainConfig

Rows = NDArray[Any]

_NOT_FINITE_REMEDY = (
    "Lower train.peak_lr, raise train.warmup_ratio or train.adam_epsilon, or use "
    "train.precision=float32, and train into another folder; the last checkpoint is intact"
)


@dataclass(frozen=True)
class Learner:
    """What a step changes (model and optimizer), and what it needs to know."""

    model: GLM
    optimizer: AdamW
    config: TrainConfig
    row_format: RowFormat
    bfloat16: bool = False


@dataclass(frozen=True)
class StepOutcome:
    """Mean losses of a step over its labels, in nats; the gradient norm is that before clipping.

    `sample_losses`, float64 (B, S, 2) on the device, holds the sum of the losses of each sample and
    the number of its labels.
    """

    loss: float
    objective_losses: dict[str, float]
    lr: float
    grad_norm: float
    sample_losses: Tensor


def train_step(learner: Learner, rows: Rows, step: int) -> StepOutcome:
    """Update number `step` (the first is 0) from `rows` (B, width), in micro-batches.

    Every label of the batch weighs the same, however rows are cut into micro-batches; the
    reference averages the means of its ranks instead. `BlankstreamError`, and no update, when loss
    or gradient are not finite.
    """
    sums, samples = _accumulate_gradients(learner, rows)
    loss, objective_losses = _means(sums.tolist(), learner.row_format)
    grad_norm = _clip(learner)
    _check_finite(step, loss, grad_norm)
    rate = learning_rate(step, learner.config)
    set_learning_rate(learner.optimizer, rate)
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    return StepOutcome(loss, objective_losses, rate, grad_norm, samples)


def check_parameters(model: GLM, step: int) -> None:
    """Raise `BlankstreamError` when a parameter is not finite behind `step` steps."""
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise BlankstreamError(
                f"step {step}: the parameter '{name}' is no longer finite; nothing was saved. "
                f"{_NOT_FINITE_REMEDY}"
            )


def losses_by_sample(losses: TokenLosses, batch: DeviceBatch) -> Tensor:
    """Sum of the losses and number of labels, float64 (B, S, 2), of each sample place."""
    values_N = losses.losses.detach().double()
    columns_N2 = torch.stack((values_N, torch.ones_like(values_N)), dim=1)
    num_rows, places = batch.objectives.shape[0], batch.objectives.shape[1] + 1
    sums = columns_N2.new_zeros(num_rows * places, 2)
    sums.index_add_(0, batch.samples_at(losses.indices), columns_N2)
    return sums.view(num_rows, places, 2)[:, :-1]


def losses_by_objective(samples: Tensor, batch: DeviceBatch, num_objectives: int) -> Tensor:
    """What `losses_by_sample` gave summed by objective code, float64 (objectives + 1, 2)."""
    sums = samples.new_zeros(num_objectives + 1, 2)
    return sums.index_add_(0, batch.objectives.flatten(), samples.reshape(-1, 2))


def _accumulate_gradients(learner: Learner, rows: Rows) -> tuple[Tensor, Tensor]:
    """Backward over each micro-batch; returns the losses by objective and by sample."""
    row_format, model = learner.row_format, learner.model
    labels = rows[:, row_format.slices["labels"]]
    num_labels = max(1, int(np.count_nonzero(labels != row_format.ignore)))
    num_objectives = len(row_format.objectives)
    sums = torch.zeros(num_objectives + 1, 2, dtype=torch.float64, device=model.device)
    samples = []
    for part in _micro_batches(rows, learner.config.micro_batch_rows):
        batch = to_device(part, row_format, model.device)
        with autocast(model.device, learner.bfloat16):
            hidden_BLM = model(batch.tokens, batch.positions, batch.block_positions, batch.layout)
            losses = token_losses(model, hidden_BLM, batch.labels)
        (losses.losses.sum() / num_labels).backward()  # type: ignore[no-untyped-call]
        samples.append(losses_by_sample(losses, batch))
        sums += losses_by_objective(samples[-1], batch, num_objectives)
    return sums, torch.cat(samples)


def _micro_batches(rows: Rows, micro_batch_rows: int) -> Iterator[Rows]:
    size = micro_batch_rows or len(rows)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _means(sums: list[list[float]], row_format: RowFormat) -> tuple[float, dict[str, float]]:
    """The mean over all labels, and that of each objective that has labels."""
    total = sum(loss for loss, _ in sums) / max(1.0, sum(count for _, count in sums))
    named = zip(row_format.objectives, sums[1:], strict=True)
    return total, {name: loss / count for name, (loss, count) in named if count}


def _clip(learner: Learner) -> float:
    """Scale the gradients down to `max_grad_norm` (0: leave them); returns their norm before."""
    limit = learner.config.max_grad_norm or math.inf
    return float(torch.nn.utils.clip_grad_norm_(learner.model.parameters(), limit))


def _check_finite(step: int, loss: float, grad_norm: float) -> None:
    if not math.isfinite(loss) or not math.isfinite(grad_norm):
        raise BlankstreamError(
            f"step {step + 1}: the loss is {loss} and the norm of its gradient {grad_norm}; "
            f"nothing was updated. {_NOT_FINITE_REMEDY}"
        )
