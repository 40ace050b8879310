"""`blankstream trace`: the documents behind one step of a run, from the record of the run alone.

The stream is a function of its history and an index: `stream_record.py` says which rows the step
took, `RowStream` reads them again, and `row_views.py` leads each sample back to its source. Shown
by `trace_view.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.metrics import read_metrics
from jobs.pages.visible_text import count
from jobs.row_views import RowViews
from jobs.runs import open_run
from jobs.sample_view import RowView, SampleView
from jobs.stream_record import Stretch, stretch_of
from jobs.traced_data import find_datasets
from jobs.traced_losses import Losses, SampleLoss, losses_of
from pipeline.dataset import Dataset
from pipeline.given_data import Place
from pipeline.shard_cache.folder import CacheFolder
from pipeline.stream import Batch, RowStream
from schemas.errors import RunError, UserError
from schemas.manifest import TRAIN


@dataclass(frozen=True)
class TraceRequest:
    """Step `step` of `run`, the first being 1: the part of rank `rank`; None: of all ranks.

    `world_size` is how many ranks the caller takes the step to have had; None: as many as it had.
    `data` are places of data sets that are no longer where they were; those behind URLs are read
    through `cache`.
    """

    run: Path
    step: int
    rank: int | None = None
    world_size: int | None = None
    data: tuple[Path | str, ...] = ()
    with_losses: bool = False
    cache: CacheFolder | None = None


@dataclass(frozen=True)
class TracedSample:
    """Sample `number` of row `stream_row` of the stream, which is row `row` of `dataset`."""

    stream_row: int
    number: int
    dataset: Dataset
    row: RowView
    sample: SampleView
    loss: SampleLoss | None


@dataclass(frozen=True)
class StepTrace:
    """The samples behind a step, in the order of the batch, or the highest mean loss first.

    [first_row, stop_row) is the part of the stream that was asked for, `world_size` the ranks that
    shared the step, `metrics` its line.
    """

    request: TraceRequest
    world_size: int
    first_row: int
    stop_row: int
    metrics: dict[str, Any]
    samples: tuple[TracedSample, ...]


def trace_step(request: TraceRequest) -> StepTrace:
    """Read the rows of the step again, verified, with the source of each sample.

    Raises `UserError` for a rank that the step did not have, `RunError` for a step that was not
    taken or of which too little is known, `DatasetError` for a data set that is not found, and
    `CorruptDataError` for damage.
    """
    run = open_run(request.run)
    metrics = read_metrics(request.run, request.step)
    stretch = stretch_of(request.run, request.step)
    _check_ranks(request, stretch.world_size)
    start, stop = stretch.rows_of(request.step)
    if metrics.get("consumed_rows") != stop:
        raise RunError(
            f"{request.run}: step {request.step} consumed {metrics.get('consumed_rows')} rows by "
            f"its metrics and {stop} by the record of the stream; restore the files from a copy"
        )
    with _open_stream(request, stretch, start) as stream:
        batch, datasets = next(stream), stream.datasets
    part = stretch.rows_of(request.step, request.rank)
    is_recording = run.config.train.record_losses
    losses = _losses(request, stretch, is_recording) if request.with_losses else {}
    samples = _samples(batch, datasets, part[0], losses)
    if request.with_losses:
        samples.sort(key=lambda one: -one.loss.mean if one.loss else 0.0)
    return StepTrace(request, stretch.world_size, *part, metrics, tuple(samples))


def _losses(request: TraceRequest, stretch: Stretch, is_recording: bool) -> Losses:
    ranks = range(stretch.world_size) if request.rank is None else [request.rank]
    parts = {rank: range(*stretch.rows_of(request.step, rank)) for rank in ranks}
    return losses_of(request.run, request.step, parts, is_recording)


def _check_ranks(request: TraceRequest, world_size: int) -> None:
    place = f"{request.run}: step {request.step}"
    if request.world_size not in (None, world_size):
        raise UserError(
            f"{place} was taken by {count(world_size, 'rank')}, not by {request.world_size}: leave "
            f"--world-size out, or give {world_size}"
        )
    if request.rank is not None and not 0 <= request.rank < world_size:
        last = world_size - 1
        raise UserError(
            f"{place}: rank {request.rank} of {world_size}: expected --rank in 0..{last}"
        )


def _open_stream(request: TraceRequest, stretch: Stretch, start: int) -> RowStream:
    found = find_datasets(request.run, stretch, request.data, request.cache)
    opened: dict[Place, float] = dict.fromkeys(found, 1.0)
    return RowStream(
        opened,
        batch_rows=stretch.batch_rows,
        rank=request.rank or 0,
        world_size=1 if request.rank is None else stretch.world_size,
        state={"consumed_rows": start, "segments": stretch.segments},
        replay=True,
        cache=request.cache,
    )


def _samples(
    batch: Batch, datasets: tuple[Dataset, ...], first: int, losses: Losses
) -> list[TracedSample]:
    found: list[TracedSample] = []
    for number in np.unique(batch.datasets).tolist():
        here = np.flatnonzero(batch.datasets == number)
        # In order of rows, so that the documents of an item are read once.
        here = here[np.argsort(batch.row_numbers[here])]
        with RowViews(datasets[number], TRAIN) as views:
            for place in here.tolist():
                view = views.view_of(batch.rows[place], int(batch.row_numbers[place]))
                found += _samples_of(view, datasets[number], first + place, losses)
    return sorted(found, key=lambda one: (one.stream_row, one.number))


def _samples_of(
    view: RowView, dataset: Dataset, stream_row: int, losses: Losses
) -> list[TracedSample]:
    known = losses.get(stream_row)
    if known is not None and len(known) != len(view.samples):
        raise RunError(
            f"row {stream_row} has {len(view.samples)} samples, and losses of {len(known)} were "
            "recorded: they belong to another run; restore its losses from a copy"
        )
    return [
        TracedSample(stream_row, number, dataset, view, sample, known[number] if known else None)
        for number, sample in enumerate(view.samples)
    ]
