"""`blankstream trace`: the documents behind one step of a run, from the record of the run alone.

The stream is a function of its history and an index: `stream_record.py` says which rows the step
took, `RowStream` reads them again, and `row_views.py` leads each sample back to its source. Shown
by `trace_view.py`.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from jobs.metrics import read_metrics
from jobs.row_views import RowViews
from jobs.runs import open_run
from jobs.sample_losses import recorded_losses
from jobs.sample_view import RowView, SampleView
from jobs.stream_record import Stretch, stretch_of
from jobs.traced_data import find_datasets
from pipeline.dataset import Dataset
from pipeline.shard_cache.folder import CacheFolder
from pipeline.stream import Batch, RowStream
from schemas.errors import RunError, UserError
from schemas.manifest import TRAIN


@dataclass(frozen=True)
class TraceRequest:
    """Step `step` of `run`, the first being 1: the part of rank `rank` of `world_size`.

    `data` are places of data sets that are no longer where they were; those behind URLs are read
    through `cache`.
    """

    run: Path
    step: int
    rank: int = 0
    world_size: int = 1
    data: tuple[Path | str, ...] = ()
    with_losses: bool = False
    cache: CacheFolder | None = None


@dataclass(frozen=True)
class SampleLoss:
    """`sum` in nats over `num_labels` labels, as the training recorded it."""

    num_labels: int
    sum: float

    @property
    def mean(self) -> float:
        """Nats per label; 0 without a label."""
        return self.sum / max(1, self.num_labels)


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

    [first_row, stop_row) is the rank's part of the stream, `metrics` the line of the step.
    """

    request: TraceRequest
    first_row: int
    stop_row: int
    metrics: dict[str, Any]
    samples: tuple[TracedSample, ...]


Losses = dict[int, list[SampleLoss]]


def trace_step(request: TraceRequest) -> StepTrace:
    """Read the rows of the step again, verified, with the source of each sample.

    Raises `UserError` for a rank that does not exist, `RunError` for a step that was not taken or
    of which too little is known, `DatasetError` for a data set that is not found, and
    `CorruptDataError` for damage.
    """
    if request.world_size < 1 or not 0 <= request.rank < request.world_size:
        raise UserError(
            f"rank {request.rank} of {request.world_size}: expected --rank in "
            f"0..{max(0, request.world_size - 1)}, less than --world-size"
        )
    open_run(request.run)
    metrics = read_metrics(request.run, request.step)
    stretch = stretch_of(request.run, request.step)
    start, stop = stretch.rows_of(request.step)
    if metrics.get("consumed_rows") != stop:
        raise RunError(
            f"{request.run}: step {request.step} consumed {metrics.get('consumed_rows')} rows by "
            f"its metrics and {stop} by the record of the stream; restore the files from a copy"
        )
    with _open_stream(request, stretch, start) as stream:
        batch, datasets = next(stream), stream.datasets
    first = start + (stop - start) * request.rank // request.world_size
    losses = _losses(request, range(first, first + len(batch)))
    samples = _samples(batch, datasets, first, losses)
    if request.with_losses:
        samples.sort(key=lambda one: -one.loss.mean if one.loss else 0.0)
    return StepTrace(request, first, first + len(batch), metrics, tuple(samples))


def _open_stream(request: TraceRequest, stretch: Stretch, start: int) -> RowStream:
    found = find_datasets(request.run, stretch, request.data, request.cache)
    return RowStream(
        dict.fromkeys(found, 1.0),
        batch_rows=stretch.batch_rows,
        rank=request.rank,
        world_size=request.world_size,
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


def _losses(request: TraceRequest, rows: range) -> Losses:
    """The losses of every sample of the stream's `rows`; none where they were not asked for."""
    found: Losses = {}
    for part in recorded_losses(request.run, request.step) if request.with_losses else ():
        pairs = zip(part.num_labels.tolist(), part.sums.tolist(), strict=True)
        samples = [SampleLoss(*pair) for pair in pairs]
        edges = pairwise(accumulate(part.num_samples.tolist(), initial=0))
        found |= {row: samples[a:b] for row, (a, b) in enumerate(edges, start=part.first_row)}
    missing = [row for row in rows if row not in found]
    if request.with_losses and missing:
        raise RunError(
            f"{request.run}: no losses of step {request.step} were recorded for row {missing[0]} "
            f"and {len(missing) - 1} others; train with train.record_losses=true, which a run that "
            "goes on may begin with"
        )
    return found
