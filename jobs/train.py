"""`blankstream train`: rows of a stream -> a trained GLM in the folder of a run.

Everything a step needs comes ready from the shards, so the loop only takes rows, steps, logs and
saves. A run that was killed goes on from its last checkpoint as if nothing had happened: on a CPU
bit for bit.
"""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.batches import check_positions
from jobs.learners import begin, training_tensors
from jobs.metrics import MetricsLog, StepMetrics, TrainWatcher
from jobs.run_checkpoints import Checkpoint, delete_old_checkpoints, write_checkpoint
from jobs.runs import build_section, prepare_run
from jobs.train_step import Learner, check_parameters, train_step
from pipeline.dataset import Dataset, open_mixture
from pipeline.stream import Batch, RowStream
from schemas.config import Config
from schemas.errors import ConfigError
from schemas.manifest import TRAIN
from schemas.model_config import ModelConfig


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """Steps [first_step, last_step) were taken; `last` is None when there was nothing to do."""

    run: Path
    first_step: int
    last_step: int
    last: StepMetrics | None


@dataclasses.dataclass(frozen=True)
class _Run:
    """What the loop works with."""

    path: Path
    learner: Learner
    stream: RowStream
    log: MetricsLog


def train(
    config: Config,
    datasets: Mapping[Path | str, float],
    output: Path,
    resume: bool,
    progress: TrainWatcher,
) -> TrainResult:
    """Train to `train.max_steps`, from the last checkpoint where `resume` finds one.

    A run that is finished returns at once. A function of its arguments on a CPU. Raises `UserError`
    before anything is written when the request cannot be carried out, `BlankstreamError` when the
    loss is no longer finite and `CorruptDataError` for damaged rows or checkpoints.
    """
    _check_layer(config)
    mixture = open_mixture(datasets, TRAIN)
    model_config = config.model
    for dataset, _ in mixture:
        model_config = fit_model(model_config, dataset)
    config = dataclasses.replace(config, model=model_config)
    checkpoint = prepare_run(output, config, mixture, resume)
    step = checkpoint.step if checkpoint else 0
    if step >= config.train.max_steps:
        return TrainResult(output, step, step, None)
    with (
        open_stream(config, datasets, checkpoint) as stream,
        MetricsLog(output, step) as log,
    ):
        learner = begin(config, stream.row_format, checkpoint)
        last = _run_steps(_Run(output, learner, stream, log), step, progress)
    return TrainResult(output, step, config.train.max_steps, last)


def _check_layer(config: Config) -> None:
    if config.model.layer != "glm":
        raise ConfigError(
            f"model.layer='{config.model.layer}' cannot be trained yet: its data sets can be "
            'built, its layer is not there; set model.layer="glm" for GLM\'s own layer'
        )


def fit_model(config: ModelConfig, dataset: Dataset) -> ModelConfig:
    """`config` with the vocabulary size of the data set's tokenizer where it is left open.

    Raises `ConfigError` for a vocabulary that is too small, and for too few positions where the
    data set's plan says how long its windows are.
    """
    size = int(dataset.manifest.tokenizer["vocab_size"])
    if config.vocab_size == 0:
        rounded = -(-size // config.vocab_multiple) * config.vocab_multiple
        config = dataclasses.replace(config, vocab_size=rounded)
    if config.vocab_size < size:
        raise ConfigError(
            f"model.vocab_size={config.vocab_size}: the tokenizer of {dataset.path} has {size} "
            "tokens; set it to 0 to take its size"
        )
    needed = _max_position(build_section(dataset))
    if needed > config.max_sequence_length:
        raise ConfigError(
            f"model.max_sequence_length={config.max_sequence_length}: {dataset.path} was built "
            f"with windows whose positions reach {needed}; set model.max_sequence_length={needed} "
            "or more, or build with smaller build.window_tokens"
        )
    return config


def _max_position(build: dict[str, Any]) -> int:
    """The highest position or block position that windows of a recipe can lead to; 0: unknown.

    Block positions go furthest where one span takes all of a window but [CLS] and eos; with
    sentinels the position of part B is `window_tokens` itself.
    """
    if not build:
        return 0
    window_tokens = int(build["window_tokens"])
    kinds = {objective["kind"] for objective in build["objective"].values()}
    has_sentinels = build["sentinels"] or "sentinel_spans" in kinds
    block_positions = window_tokens + 1 - build["add_cls"] - build["add_eos"]
    reach: int = max(window_tokens - 1 + has_sentinels, block_positions)
    return reach


def open_stream(
    config: Config,
    datasets: Mapping[Path | str, float],
    checkpoint: Checkpoint | None,
    rank: int = 0,
    world_size: int = 1,
) -> RowStream:
    """The training rows behind `checkpoint`, or from the first one on."""
    return RowStream(
        datasets,
        batch_rows=config.train.batch_rows,
        seed=config.train.seed,
        rank=rank,
        world_size=world_size,
        state=checkpoint.stream if checkpoint else None,
    )


def _run_steps(run: _Run, first_step: int, progress: TrainWatcher) -> StepMetrics:
    config = run.learner.config
    progress.started(first_step, config.max_steps)
    for step in range(first_step, config.max_steps):
        metrics = _run_step(run, step)
        run.log.append(metrics)
        progress.step_done(metrics)
        if metrics.step % config.checkpoint_every_steps == 0 or metrics.step == config.max_steps:
            _save(run, metrics.step)
            progress.checkpoint_saved(metrics.step)
    return metrics


def _run_step(run: _Run, step: int) -> StepMetrics:
    started = time.perf_counter()
    batch: Batch = next(run.stream)
    waited = time.perf_counter() - started
    check_positions(batch.rows, run.stream.row_format, run.learner.model.config)
    outcome = train_step(run.learner, batch.rows, step)
    seconds = time.perf_counter() - started
    return StepMetrics(
        step=step + 1,
        loss=outcome.loss,
        objective_losses=outcome.objective_losses,
        lr=outcome.lr,
        grad_norm=outcome.grad_norm,
        tokens_per_second=int(batch.lengths.sum()) / seconds,
        data_wait_ratio=waited / seconds,
        consumed_rows=batch.consumed_rows,
    )


def _save(run: _Run, step: int) -> None:
    learner = run.learner
    check_parameters(learner.model, step)
    run.log.sync()
    write_checkpoint(run.path, step, learner.model, training_tensors(learner), run.stream.state())
    delete_old_checkpoints(run.path, learner.config.keep_checkpoints)
