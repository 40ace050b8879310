"""Runs for the tests of traces: stopped in the middle, and what was behind each of their steps."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from jobs.build import BuildRequest, build_dataset
from jobs.trace import StepTrace, TraceRequest, trace_step
from jobs.train import TrainRequest, train
from pipeline.stream import RowStream
from schemas.build_config import BuildConfig
from schemas.config import Config
from tests.corpus import NoProgress
from tests.trained import TINY_MODEL, Watcher, train_config

STEPS = range(1, 7)

Rows = list[tuple[str, int]]
"""Digest and row number of the rows behind a step, in order of the batch."""


class Stopped(BaseException):
    """Ends a run in the middle, as a signal would."""


def stop_at(step: int) -> Watcher:
    def after(done: int) -> None:
        if done == step:
            raise Stopped

    return Watcher(after)


def train_on(run: Path, datasets: Mapping[Path, float], until: int = 6, **changes: object) -> None:
    """Steps of three at a time, from the last checkpoint on, until `until` was taken."""
    config = Config(model=TINY_MODEL, train=train_config(**changes))
    request = TrainRequest(config, dict(datasets), run, resume=True, change_data=True)
    with contextlib.suppress(Stopped):
        train(request, stop_at(until))


def traced(run: Path, step: int, *data: Path, with_losses: bool = False) -> StepTrace:
    return trace_step(TraceRequest(run, step, data=data, with_losses=with_losses))


def rows_of(trace: StepTrace) -> Rows:
    found = {one.stream_row: (one.dataset.digest, one.row.row) for one in trace.samples}
    assert list(found) == list(range(trace.first_row, trace.stop_row))
    return list(found.values())


def rows_consumed(stream: RowStream, steps: int) -> list[Rows]:
    """Those of the next `steps` batches of a stream."""
    batches = [next(stream) for _ in range(steps)]
    return [
        [
            (stream.datasets[number].digest, row)
            for number, row in zip(batch.datasets, batch.row_numbers.tolist(), strict=True)
        ]
        for batch in batches
    ]


def build_documents(output: Path, documents: Mapping[str, str], config: BuildConfig) -> Path:
    """Build a data set of texts by id, or grow it by them; returns `output`."""
    file = output.parent / f"{output.name}-{len(documents)}.jsonl"
    lines = [json.dumps({"id": name, "text": text}) + "\n" for name, text in documents.items()]
    file.write_text("".join(lines))
    build_dataset(BuildRequest(config, [file], output, "serial", 1), NoProgress())
    return output
