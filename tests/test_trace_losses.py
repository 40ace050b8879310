"""Losses in traces: they add up to what the training logged, and lead to its documents."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from schemas.build_config import ObjectiveConfig, TokenizerConfig
from schemas.errors import RunError
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
    with pytest.raises(RunError, match=r"no losses of step 2 .* train\.record_losses=true"):
        traced(run, 2, with_losses=True)


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
