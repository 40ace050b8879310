"""`blankstream train`: rows of a stream -> a trained GLM in the folder of a run.

Everything a step needs comes ready from the shards, so the loop only takes rows, steps, logs and
saves. A run that was killed goes on from its last checkpoint as if nothing had happened: on a CPU
bit for bit.
"""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from jobs.batches import check_positions
from jobs.learners import begin, training_tensors
from jobs.losses_file import SampleLosses
from jobs.metrics import MetricsLog, StepMetrics, TrainWatcher
from jobs.model_fit import check_layer, fit_model
from jobs.run_checkpoints import Checkpoint, delete_old_checkpoints, write_checkpoint
from jobs.run_start import begin_run, check_nothing_changes, find_start, renew_run
from jobs.sample_losses import LossLog, cut_losses
from jobs.step_memory import told_memory
from jobs.stream_record import record_stretch, stretch_behind
from jobs.train_step import Learner, check_parameters, train_step
from pipeline.given_data import Given, Place, open_mixture
from pipeline.shard_cache.folder import CacheFolder
from pipeline.stream import Batch, RowStream
from schemas.config import Config
from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import TRAIN


@dataclasses.dataclass(frozen=True)
class TrainRequest:
    """Train to `config.train.max_steps` in the folder `output`, on data sets by weight.

    With `resume` from the last checkpoint where there is one; with `change_data` other data sets,
    weights, seeds, batch sizes and orders may follow there. Data sets behind URLs are read through
    `cache`.
    """

    config: Config
    datasets: Mapping[Path | str, float]
    output: Path
    resume: bool = False
    change_data: bool = False
    cache: CacheFolder | None = None


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
    losses: LossLog


def train(request: TrainRequest, progress: TrainWatcher) -> TrainResult:
    """Take the steps that are left; a run that is finished on the same data returns at once.

    A function of its arguments on a CPU. Raises `UserError` before anything is written when the
    request cannot be carried out, or, where a data set has no plan that says how long its windows
    are, at the first row that the model is too short for; `BlankstreamError` when the loss is no
    longer finite, and `CorruptDataError` for damaged rows, checkpoints or losses.
    """
    config, output = request.config, request.output
    check_layer(config)
    mixture = open_mixture(request.datasets, TRAIN, request.cache)
    model_config = config.model
    for dataset, _ in mixture:
        model_config = fit_model(model_config, dataset)
    config = dataclasses.replace(config, model=model_config)
    checkpoint = find_start(output, config, mixture, request.resume, request.change_data)
    step = checkpoint.step if checkpoint else 0
    if checkpoint and step >= config.train.max_steps:
        check_nothing_changes(output, checkpoint, mixture)
        return TrainResult(output, step, step, None)
    request = dataclasses.replace(request, config=config)
    opened: dict[Place, float] = dict(mixture)
    with open_stream(request, opened, checkpoint) as stream:
        learner = begin(config, stream.row_format, checkpoint)
        if checkpoint is None:
            begin_run(output, config, mixture)
        else:
            renew_run(output, config, mixture)
        with MetricsLog(output, step) as log, LossLog(output, rank=0) as losses:
            cut_losses(output, step)
            record_stretch(output, stretch_behind(step, stream, config.train.batch_rows))
            last = _run_steps(_Run(output, learner, stream, log, losses), step, progress)
    return TrainResult(output, step, config.train.max_steps, last)


def open_stream(
    request: TrainRequest,
    datasets: Given,
    checkpoint: Checkpoint | None,
    rank: int = 0,
    world_size: int = 1,
) -> RowStream:
    """The rows behind `checkpoint`, or all, of the request's `datasets`, opened or not.

    `DatasetError` that names the run where its checkpoint does not go with them.
    """
    try:
        return _stream(request, datasets, checkpoint, rank, world_size)
    except DatasetError as error:
        if checkpoint is None or isinstance(error, CorruptDataError):
            raise
        raise DatasetError(f"{request.output}: {error}") from error


def _stream(
    request: TrainRequest,
    datasets: Given,
    checkpoint: Checkpoint | None,
    rank: int,
    world_size: int,
) -> RowStream:
    config = request.config.train
    return RowStream(
        datasets,
        batch_rows=config.batch_rows,
        seed=config.seed,
        rank=rank,
        world_size=world_size,
        state=checkpoint.stream if checkpoint else None,
        order=config.order,
        window_shards=config.window_shards or None,
        change=request.change_data,
        cache=request.cache,
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
    with told_memory(run.learner.config):
        outcome = train_step(run.learner, batch.rows, step)
    if run.learner.config.record_losses:
        run.losses.append(_sample_losses(step + 1, batch, outcome.sample_losses))
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


def _sample_losses(step: int, batch: Batch, sums_BS2: Tensor) -> SampleLosses:
    """The sums (B, S, 2) of a step as they are recorded, places without a sample left out."""
    is_sample = batch.lengths > 0
    sums = sums_BS2.cpu().numpy()[is_sample]
    return SampleLosses(
        step=step,
        first_row=batch.consumed_rows - len(batch),
        num_samples=is_sample.sum(axis=1).astype(np.uint16),
        num_labels=sums[:, 1].astype(np.uint32),
        sums=sums[:, 0].astype(np.float32),
    )


def _save(run: _Run, step: int) -> None:
    learner = run.learner
    check_parameters(learner.model, step)
    run.log.sync()
    run.losses.sync()
    write_checkpoint(run.path, step, learner.model, training_tensors(learner), run.stream.state())
    delete_old_checkpoints(run.path, learner.config.keep_checkpoints)
