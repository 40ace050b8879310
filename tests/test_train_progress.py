"""What a person sees of a training where there is no terminal."""

import pytest

from jobs import train_progress
from jobs.metrics import StepMetrics
from jobs.train_progress import TrainProgress

STEP = {"loss": 2.5, "objective_losses": {}, "lr": 0.1, "grad_norm": 1.0, "consumed_rows": 8}


def test_lines_tell_where_a_training_is(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(train_progress, "note", lines.append)
    monkeypatch.setattr(train_progress, "is_interactive", lambda: False)
    with TrainProgress() as progress:
        progress.started(2, 4)
        for step in (3, 4):
            metrics = {**STEP, "step": step, "tokens_per_second": 1234.0, "data_wait_ratio": 0.02}
            progress.step_done(StepMetrics(**metrics))  # type: ignore[arg-type]
        progress.checkpoint_saved(4)
    assert lines == [
        "Training 4 steps, going on behind step 2",
        "step 4 of 4: loss 2.500, 1,234 tokens/s, waiting for data 2%, 0 s left",
        "checkpoint of step 4 saved",
    ]
