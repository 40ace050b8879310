"""`blankstream train`: rows of a stream -> a trained GLM in the folder of a run.

Everything a step needs comes ready from the shards, so the loop only takes rows, steps, logs and
saves. A run that was killed goes on from its last checkpoint as if nothing had happened: on a CPU
bit for bit.
"""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from jobs.batches import check_positions
from jobs.devices import default_device, is_bfloat16
from jobs.metrics import MetricsLog, StepMetrics, TrainWatcher
from jobs.optimizer import load_optimizer_tensors, make_optimizer, optimizer_tensors
from jobs.run_checkpoints import Checkpoint, delete_old_checkpoints, write_checkpoint
from jobs.runs import build_section, prepare_run
from jobs.train_step import Learner, train_step
from model.init import initialize
from model.transformer import GLM
from pipeline.dataset import Dataset, open_mixture
from pipeline.stream import Batch, RowStream
from schemas.config import Config, digest
from schemas.errors import ConfigError
from schemas.manifest import TRAIN
from schemas.model_config import ModelConfig

_RANDOM_STATE = "random/"


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
        learner = _begin(config, stream, checkpoint)
        last = _run_steps(_Run(output, learner, stream, log), step, progress)
    return TrainResult(output, step, config.train.max_steps, last)


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
    window_tokens = int(build_section(dataset).get("window_tokens", 0))
    if window_tokens > config.max_sequence_length:
        raise ConfigError(
            f"model.max_sequence_length={config.max_sequence_length}: {dataset.path} was built "
            f"with build.window_tokens={window_tokens}; set model.max_sequence_length="
            f"{window_tokens} or build with shorter windows"
        )
    return config


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


def _begin(config: Config, stream: RowStream, checkpoint: Checkpoint | None) -> Learner:
    """Model, optimizer and random state: fresh, or as they were at `checkpoint`."""
    device = default_device()
    if checkpoint is None:
        model = GLM(config.model)
        initialize(model, config.train.seed)
    else:
        model = checkpoint.load_model(config.model)
    model.to(device).train()
    optimizer = make_optimizer(model, config.train)
    if checkpoint is None:
        torch.manual_seed(_dropout_seed(config.train.seed))
    else:
        tensors = checkpoint.load_training_tensors()
        _set_random_state(tensors, device)
        place = str(checkpoint.path)
        load_optimizer_tensors(model, optimizer, _without_random_state(tensors), place)
    bfloat16 = is_bfloat16(config.train.precision, device)
    return Learner(model, optimizer, config.train, stream.row_format, bfloat16)


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
    tensors = optimizer_tensors(learner.model, learner.optimizer)
    tensors |= _random_state(learner.model.device)
    run.log.sync()
    write_checkpoint(run.path, step, learner.model, tensors, run.stream.state())
    delete_old_checkpoints(run.path, learner.config.keep_checkpoints)


def _dropout_seed(seed: int) -> int:
    """Not `seed` itself: the weights were drawn with that."""
    return int(digest({"seed": seed, "purpose": "dropout"})[:15], 16)


def _random_state(device: torch.device) -> dict[str, Tensor]:
    """State of the generators that dropout draws from."""
    states = {f"{_RANDOM_STATE}cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states[f"{_RANDOM_STATE}cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random_state(tensors: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(tensors[f"{_RANDOM_STATE}cpu"])
    if device.type == "cuda" and f"{_RANDOM_STATE}cuda" in tensors:
        torch.cuda.set_rng_state(tensors[f"{_RANDOM_STATE}cuda"], device)


def _without_random_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_RANDOM_STATE)}
