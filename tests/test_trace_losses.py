"""Losses in traces: they add up to what the training logged, and lead to its documents."""

import random
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from jobs.losses_file import FILE_STEPS, SampleLosses
from jobs.sample_losses import LossLog
from jobs.traced_losses import losses_of
from schemas.build_config import ObjectiveConfig, TokenizerConfig
from schemas.errors import CorruptDataError, RunError
from tests.corpus import small_config
from tests.traced_runs import STEPS, Stopped, build_documents, stop_at, traced
from tests.trained import logged, run_training


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A run of six steps without interruption, with losses; read it, do not change it."""
    run = tmp_path_factory.mktemp("traced") / "run"
    run_training(run, built, record_losses=True, micro_batch_rows=2)
    return run


def test_losses_of_samples_add_up_to_the_loss_of_the_step(straight: Path) -> None:
    for line in logged(straight):
        trace = traced(straight, line["step"], with_losses=True)
        losses = [one.loss for one in trace.samples if one.loss]
        assert len(losses) == len(trace.samples)
        total, labels = sum(loss.sum for loss in losses), sum(loss.num_labels for loss in losses)
        assert total / labels == pytest.approx(line["loss"], rel=1e-6)
        assert labels == sum(int((one.sample.sample.labels >= 0).sum()) for one in trace.samples)
        for name in {one.sample.name for one in trace.samples}:
            ours = [one.loss for one in trace.samples if one.sample.name == name and one.loss]
            mean = sum(loss.sum for loss in ours) / sum(loss.num_labels for loss in ours)
            assert mean == pytest.approx(line[f"loss/{name}"], rel=1e-6)
        means = [loss.mean for loss in losses]
        assert means == sorted(means, reverse=True)


def test_losses_that_were_not_recorded_are_asked_for(tmp_path: Path, built: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(Stopped):
        run_training(run, built, watcher=stop_at(4))
    run_training(run, built, resume=True, record_losses=True)
    asked = r"no losses of step 2 .*holds the steps 4\.\.6\); .*train\.record_losses=true"
    with pytest.raises(RunError, match=asked):
        traced(run, 2, with_losses=True)


def test_a_run_that_never_recorded_has_no_damage(tmp_path: Path, built: Path) -> None:
    run_training(tmp_path / "run", built, max_steps=1)
    with pytest.raises(RunError, match=r"no losses of step 1 .*there is no such file"):
        traced(tmp_path / "run", 1, with_losses=True)


@pytest.fixture
def copied(straight: Path, tmp_path: Path) -> Path:
    """The file of losses of a copy of `straight`, in `tmp_path / "run"`."""
    (found,) = copytree(straight, tmp_path / "run").rglob("*.losses")
    return found


@pytest.mark.fault
@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (100, "it holds no step and 100 bytes"),
        (-1, r"it holds the steps 1\.\.5 and \d+ bytes"),
    ],
)
def test_losses_that_were_cut_short_are_damage_that_names_the_file(
    copied: Path, kept: int, told: str
) -> None:
    copied.write_bytes(copied.read_bytes()[:kept])
    message = (
        rf"0000001\.losses: cut short: {told} of the next one, though step 6 was taken; restore it"
    )
    with pytest.raises(CorruptDataError, match=message):
        traced(copied.parents[2], 6, with_losses=True)


def file_of(copied: Path, steps: int) -> bytes:
    """The bytes of the first steps of a file whose steps are read one by one."""
    whole = copied.read_bytes()
    return b"BSLOSS01".join(whole.split(b"BSLOSS01")[: steps + 1])


@pytest.mark.fault
@pytest.mark.parametrize(
    ("steps", "told"),
    [(None, "there is no such file"), (0, "it holds no step"), (4, r"it holds the steps 1\.\.4")],
)
def test_losses_that_are_gone_are_told_with_both_possibilities(
    copied: Path, steps: int | None, told: str
) -> None:
    if steps is None:
        copied.unlink()
    else:
        copied.write_bytes(file_of(copied, steps))
    message = (
        rf"0000001\.losses: {told}, not step 5, .* cut short or deleted, and is to be restored "
        r"from a copy, or the step was taken while train\.record_losses was false"
    )
    with pytest.raises(CorruptDataError, match=message):
        traced(copied.parents[2], 5, with_losses=True)


def record(run: Path, rank: int, *steps: int) -> None:
    """Losses of one row with one sample in each step: row 10 times the step, and the rank."""
    one = np.ones(1)
    with LossLog(run, rank) as log:
        for step in steps:
            log.append(SampleLosses(step, 10 * step + rank, one, one, one))


@pytest.mark.fault
def test_the_file_of_the_rank_that_misses_its_losses_is_named(tmp_path: Path) -> None:
    record(tmp_path, 0, 1, 2)
    record(tmp_path, 1, 1)
    parts = {rank: range(20 + rank, 21 + rank) for rank in (0, 1)}
    with pytest.raises(
        CorruptDataError, match=r"rank-0001/step-0000001\.losses: .* 1\.\.1, not st"
    ):
        losses_of(tmp_path, 2, parts, is_recording=True)
    assert list(losses_of(tmp_path, 2, {0: range(20, 21)}, is_recording=True)) == [20]


def test_recording_that_began_in_a_later_file_is_no_damage(tmp_path: Path) -> None:
    part = {0: range(20, 21)}
    record(tmp_path, 0, FILE_STEPS + 2)
    with pytest.raises(RunError, match=r"no losses of step 2 were recorded for row 20 "):
        losses_of(tmp_path, 2, part, is_recording=True)
    record(tmp_path / "whole", 0, FILE_STEPS + 1)
    with pytest.raises(CorruptDataError, match="there is no such file, not step 2"):
        losses_of(tmp_path / "whole", 2, part, is_recording=True)


@pytest.mark.fault
def test_losses_of_steps_taken_again_are_those_of_the_second_time(
    tmp_path: Path, built: Path, straight: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Stopped):
        run_training(run, built, watcher=stop_at(5), record_losses=True, micro_batch_rows=2)
    run_training(run, built, resume=True, record_losses=True, micro_batch_rows=2)
    for step in STEPS:
        pair = [traced(one, step, with_losses=True) for one in (run, straight)]
        assert [one.loss for one in pair[0].samples] == [one.loss for one in pair[1].samples]


def poisoned(rng: random.Random, tokens: Sequence[str]) -> dict[str, str]:
    """Documents of a few sentences over and over, and one of anything at all."""
    easy = "The loop ends here. It begins again after that. "
    documents = {f"easy-{n}": easy * 12 for n in range(8)}
    return documents | {"poison": " ".join(rng.choices(tokens, k=60))}


def test_a_spike_leads_to_its_document(tmp_path: Path, built: Path, texts: list[str]) -> None:
    words = sorted({word for text in texts for word in text.split() if word.isalpha()})
    documents = poisoned(random.Random(1), words)
    config = small_config(
        tokenizer=TokenizerConfig(path=str(built / "tokenizer")),
        heldout_ratio=0.0,
        objective={"blank": ObjectiveConfig(kind="blank")},
    )
    data, run = build_documents(tmp_path / "data", documents, config), tmp_path / "run"
    run_training(run, data, max_steps=40, peak_lr=1e-2, record_losses=True)
    spike = max(logged(run)[-12:], key=lambda line: line["loss"])["step"]
    assert traced(run, spike, with_losses=True).samples[0].sample.origin.document == "poison"
