"""A configuration that trains in a second, runs of it, and a watcher that can interrupt them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.metrics import METRICS_NAME, SilentWatcher, StepMetrics
from jobs.run_checkpoints import CHECKPOINTS_FOLDER
from jobs.train import TrainRequest, TrainResult, train
from schemas.config import Config
from schemas.model_config import ModelConfig
from schemas.train_config import TrainConfig

TINY_MODEL = ModelConfig(
    num_layers=2, hidden_size=16, num_attention_heads=2, max_sequence_length=64, dropout=0.2
)


def train_config(**changes: Any) -> TrainConfig:
    """Six steps of eight rows, a checkpoint every three steps."""
    defaults = {"max_steps": 6, "batch_rows": 8, "checkpoint_every_steps": 3, "peak_lr": 3e-3}
    return TrainConfig(**(defaults | changes))


class Watcher(SilentWatcher):
    """Remembers what it saw; calls `after_step` with the number of each finished step."""

    def __init__(self, after_step: Callable[[int], None] = lambda step: None) -> None:
        self.steps: list[StepMetrics] = []
        self.saved: list[int] = []
        self._after_step = after_step

    def step_done(self, metrics: StepMetrics) -> None:
        self.steps.append(metrics)
        self._after_step(metrics.step)

    def checkpoint_saved(self, step: int) -> None:
        self.saved.append(step)


def run_training(
    output: Path,
    dataset: Path,
    resume: bool = False,
    watcher: Watcher | None = None,
    model: ModelConfig = TINY_MODEL,
    **changes: Any,
) -> TrainResult:
    """Train on one data set with `train_config(**changes)`."""
    config = Config(model=model, train=train_config(**changes))
    return train(TrainRequest(config, {dataset: 1.0}, output, resume), watcher or Watcher())


def logged(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = (run / METRICS_NAME).read_text(encoding="utf-8").splitlines()
    timed = ("tokens_per_second", "data_wait_ratio")
    return [
        {key: value for key, value in json.loads(line).items() if key not in timed}
        for line in lines
    ]


def checkpoint_names(run: Path) -> list[str]:
    """Everything in the checkpoints folder, temporary or not."""
    return sorted(path.name for path in (run / CHECKPOINTS_FOLDER).iterdir())
