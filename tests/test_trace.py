"""Tracing: the samples behind a step are those it was trained on, and lead to their documents."""

import json
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path
from pydoc_data import topics

import numpy as np
import pytest

from jobs.stream_record import read_stretches, record_stretch
from jobs.trace import StepTrace, TraceRequest, trace_step
from jobs.trace_view import trace_json
from pipeline.dataset import open_dataset
from pipeline.packing import decode_row
from pipeline.stream import RowStream
from schemas.build_config import BuildConfig, TokenizerConfig
from schemas.errors import CorruptDataError, RunError, UserError
from schemas.manifest import TRAIN
from tests.datasets import flip
from tests.traced_runs import (
    STEPS,
    Stopped,
    build_documents,
    rows_consumed,
    rows_of,
    stop_at,
    traced,
    train_on,
)
from tests.trained import logged, run_training


def plain(text: str) -> str:
    """Text as the tokenizer sees it: NFKC, and one space for white space."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A run of six steps without interruption; read it, do not change it."""
    run = tmp_path_factory.mktemp("traced") / "run"
    run_training(run, built)
    return run


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, built: Path, config: BuildConfig) -> Path:
    """A second data set whose rows can be mixed with those of `built`."""
    chosen = sorted(topics.topics.items(), key=lambda item: len(item[1]))[20:35]
    config = replace(config, tokenizer=TokenizerConfig(path=str(built / "tokenizer")))
    return build_documents(tmp_path_factory.mktemp("other") / "dataset", dict(chosen), config)


def test_every_sample_leads_to_its_text_in_the_source(straight: Path, corpus: Path) -> None:
    source = (corpus / "topics.jsonl").read_bytes()
    for step in STEPS:
        for sample in json.loads(trace_json(traced(straight, step)))["samples"]:
            document = json.loads(source[sample["start"] : sample["stop"]])
            assert (sample["source"], sample["unit"]) == ("topics.jsonl", "bytes")
            assert sample["document"] == document["id"]
            assert plain(sample["text"]) in plain(document["text"])
            for span in sample["spans"]:
                assert f"{{{span['number']}: " in sample["marked_text"]
                assert 0 <= span["start"] < span["stop"] <= sample["window_tokens"]
                assert span["text"] in sample["text"]


def test_a_trace_is_what_the_step_was_trained_on(straight: Path, built: Path) -> None:
    with RowStream(built, batch_rows=8) as stream:
        expected = rows_consumed(stream, 6)
    assert [rows_of(traced(straight, step)) for step in STEPS] == expected
    dataset = open_dataset(built)
    for one in traced(straight, 4).samples:
        row = dataset.reader(TRAIN).gather(np.array([one.row.row]))[0]
        sample = decode_row(row, dataset.row_format)[one.number]
        assert one.sample.sample.tokens.tolist() == sample.tokens.tolist()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, straight: Path) -> Path:
    """As `straight`, recorded as taken by three ranks; read it, do not change it."""
    run = shutil.copytree(straight, tmp_path_factory.mktemp("shared") / "run")
    (stretch,) = read_stretches(run)
    record_stretch(run, replace(stretch, world_size=3))
    return run


def test_ranks_share_the_samples_of_a_step(shared: Path) -> None:
    for step in STEPS:
        parts = [trace_step(TraceRequest(shared, step, rank, 3)) for rank in range(3)]
        places = [(one.stream_row, one.number) for part in parts for one in part.samples]
        whole = traced(shared, step)
        assert (whole.world_size, whole.stop_row - whole.first_row) == (3, 8)
        assert places == [(one.stream_row, one.number) for one in whole.samples]
        assert [part.stop_row - part.first_row for part in parts] == [2, 3, 3]


@pytest.mark.fault
def test_a_run_that_went_on_is_traced_over_the_interruption(
    tmp_path: Path, built: Path, straight: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Stopped):
        run_training(run, built, watcher=stop_at(5))
    assert rows_of(traced(run, 5)) == rows_of(traced(straight, 5))
    run_training(run, built, resume=True)
    for step in STEPS:
        assert rows_of(traced(run, step)) == rows_of(traced(straight, step))


def test_every_step_is_traced_whatever_has_changed_since(
    tmp_path: Path, built: Path, other: Path
) -> None:
    run, keep = tmp_path / "run", {"max_steps": 12, "keep_checkpoints": 1}
    train_on(run, {built: 1.0}, until=4, **keep)
    train_on(run, {built: 1.0, other: 3.0}, until=7, **keep)
    train_on(run, {built: 2.0, other: 1.0}, until=10, batch_rows=12, **keep)
    train_on(run, {other: 1.0}, until=12, batch_rows=4, seed=5, **keep)
    expected, state = [], None
    for steps, mixture, size, seed in (
        (3, {built: 1.0}, 8, 1),
        (3, {built: 1.0, other: 3.0}, 8, 1),
        (3, {built: 2.0, other: 1.0}, 12, 1),
        (3, {other: 1.0}, 4, 5),
    ):
        with RowStream(mixture, batch_rows=size, seed=seed, state=state, change=True) as stream:
            expected += rows_consumed(stream, steps)
            state = stream.state()
    assert [rows_of(traced(run, step)) for step in range(1, 13)] == expected
    assert [line["consumed_rows"] for line in logged(run)][-1] == 3 * (8 + 8 + 12 + 4)


@pytest.mark.parametrize(
    ("step", "rank", "world_size", "message"),
    [
        (7, 0, 1, "step 7 was not taken; the run has taken the steps 1..6"),
        (1, 3, 3, r"run: step 1: rank 3 of 3: expected --rank in 0\.\.2"),
        (1, 3, None, "rank 3 of 3"),
        (1, -1, 3, "rank -1 of 3"),
        (1, 3, 8, r"run: step 1 was taken by 3 ranks, not by 8: leave --world-size out, or give 3"),
        (1, None, 1, "taken by 3 ranks, not by 1"),
        (1, 0, 0, "taken by 3 ranks, not by 0"),
    ],
)
def test_what_does_not_exist_is_named(
    shared: Path, step: int, rank: int | None, world_size: int | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        trace_step(TraceRequest(shared, step, rank, world_size))


def test_one_rank_is_no_part_of_others(straight: Path) -> None:
    with pytest.raises(UserError, match="step 1 was taken by 1 rank, not by 8: leave --world-size"):
        trace_step(TraceRequest(straight, 1, 3, 8))
    assert rows_of(trace_step(TraceRequest(straight, 1, 0))) == rows_of(traced(straight, 1))


def test_a_run_whose_files_contradict_each_other_is_not_believed(
    tmp_path: Path, straight: Path
) -> None:
    run = shutil.copytree(straight, tmp_path / "run")
    text = (run / "metrics.jsonl").read_text().replace('"consumed_rows": 16', '"consumed_rows": 17')
    (run / "metrics.jsonl").write_text(text)
    with pytest.raises(RunError, match="step 2 consumed 17 rows by its metrics and 16 by the rec"):
        traced(run, 2)
    (run / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be read .* whether step 2 was ta"):
        traced(run, 2)


def shown(run: Path, step: int, data: Path) -> tuple[str, list[list[int]]]:
    """All that a trace tells of a step: texts and origins, and the tokens of each sample."""
    trace = traced(run, step, data)
    return trace_json(trace), [one.sample.sample.tokens.tolist() for one in trace.samples]


def first_row_in(data: Path, trace: StepTrace) -> tuple[Path, int]:
    """The shard of the first row of a step, and where in the file its tokens begin."""
    row = trace.samples[0].row
    content = open_dataset(data).reader(TRAIN).gather(np.array([row.row]))[0].tobytes()
    return Path(row.shard), (data / row.shard).read_bytes().index(content)


@pytest.mark.fault
def test_a_damaged_row_is_never_shown(tmp_path: Path, built: Path, straight: Path) -> None:
    copy = shutil.copytree(built, tmp_path / "copy")
    expected = {step: shown(straight, step, copy) for step in STEPS}
    struck, refused = {2, 4, 6}, set()
    for step in struck:
        shard, position = first_row_in(built, traced(straight, step))
        flip(copy / shard, position)
    for step in STEPS:
        try:
            assert shown(straight, step, copy) == expected[step]
        except CorruptDataError:
            refused.add(step)
    assert struck <= refused
