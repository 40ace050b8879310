"""One step: every label weighs the same, and nothing is updated by a loss that is not finite."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.batches import to_device
from jobs.optimizer import make_optimizer
from jobs.train_step import Learner, train_step
from model.init import initialize
from model.loss import token_losses
from model.transformer import GLM
from pipeline.dataset import open_dataset
from schemas.errors import BlankstreamError
from tests.trained import TINY_MODEL, train_config


def learner(dataset: Path, **changes: object) -> Learner:
    """A learner without dropout; `changes` are keys of its train section."""
    model = GLM(replace(TINY_MODEL, vocab_size=512, dropout=0.0))
    initialize(model, 1)
    config = train_config(warmup_ratio=0.0, **changes)
    optimizer = make_optimizer(model.train(), config)
    return Learner(model, optimizer, config, open_dataset(dataset).row_format)


def rows_of(dataset: Path, count: int = 8) -> np.ndarray:
    return open_dataset(dataset).reader("train").gather(np.arange(count))


def weights(model: GLM) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_the_loss_is_the_mean_over_all_labels_of_the_batch(built: Path) -> None:
    subject, rows = learner(built), rows_of(built)
    losses = []
    for row in rows:
        batch = to_device(row[None], subject.row_format, torch.device("cpu"))
        hidden = subject.model(batch.tokens, batch.positions, batch.block_positions, batch.layout)
        losses += token_losses(subject.model, hidden, batch.labels).losses.tolist()
    outcome = train_step(subject, rows, 0)
    assert outcome.loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert set(outcome.objective_losses) == {"blank", "document", "sentence"}
    assert outcome.loss == pytest.approx(math.log(512), rel=0.02)


def test_micro_batches_do_not_change_a_step(built: Path) -> None:
    whole, cut, rows = learner(built), learner(built, micro_batch_rows=2), rows_of(built)
    for step in range(2):
        one, other = train_step(whole, rows, step), train_step(cut, rows, step)
        assert one.loss == pytest.approx(other.loss, rel=1e-6)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-4)
        assert one.objective_losses == pytest.approx(other.objective_losses, rel=1e-6)
    torch.testing.assert_close(weights(whole.model), weights(cut.model), rtol=1e-3, atol=1e-4)


def test_gradients_are_cut_to_the_norm_asked_for(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = []
    for limit in (0.01, 0.0):
        subject = learner(built, max_grad_norm=limit)

        def measure(subject: Learner = subject) -> None:
            gradients = [parameter.grad for parameter in subject.model.parameters()]
            norms.append(
                math.sqrt(sum(float(g.square().sum()) for g in gradients if g is not None))
            )

        monkeypatch.setattr(subject.optimizer, "step", measure)
        norms.append(train_step(subject, rows_of(built), 0).grad_norm)
    clipped, before, free, also_before = norms
    assert clipped == pytest.approx(0.01, rel=1e-3)
    assert free == pytest.approx(also_before, rel=1e-4)
    assert before == pytest.approx(also_before, rel=1e-4)


def test_a_batch_without_labels_changes_nothing(built: Path) -> None:
    subject, rows = learner(built, weight_decay=0.0), rows_of(built)
    rows[:, subject.row_format.slices["labels"]] = subject.row_format.ignore
    before = weights(subject.model)
    outcome = train_step(subject, rows, 0)
    assert (outcome.loss, outcome.grad_norm, outcome.objective_losses) == (0.0, 0.0, {})
    assert torch.equal(weights(subject.model), before)


def test_a_loss_that_is_not_finite_stops_without_an_update(built: Path) -> None:
    subject = learner(built)
    with torch.no_grad():
        subject.model.final_norm.weight[0] = math.inf
    before = weights(subject.model)
    expected = r"step 12: the loss is nan .* nothing was updated\. Lower train\.peak_lr"
    with pytest.raises(BlankstreamError, match=expected):
        train_step(subject, rows_of(built), 11)
    assert torch.equal(weights(subject.model), before)


def test_losses_stay_float32_in_bfloat16(built: Path) -> None:
    subject, rows = learner(built), rows_of(built)
    exact = train_step(learner(built), rows, 0)
    rough = train_step(replace(subject, bfloat16=True), rows, 0)
    assert rough.loss == pytest.approx(exact.loss, rel=1e-2)
    assert all(value.dtype == torch.float32 for value in subject.model.parameters())
