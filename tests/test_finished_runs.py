"""A finished run: nothing is left to do with its own data, and other data are refused."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from jobs.run_checkpoints import Checkpoint, latest_checkpoint
from jobs.run_start import check_nothing_changes
from jobs.train import TrainRequest, TrainResult, train
from pipeline.dataset import open_dataset
from pipeline.stream import RowStream
from schemas.config import Config
from schemas.errors import RunError
from tests.corpus import file_hashes
from tests.datasets import reseal
from tests.grown_datasets import write_versions
from tests.trained import TINY_MODEL, Watcher, run_training, train_config


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A run that has taken both of its steps; read it, do not change it."""
    run = tmp_path_factory.mktemp("finished") / "run"
    run_training(run, built, max_steps=2)
    return run


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """The rows of `built` as another data set."""
    copy = shutil.copytree(built, tmp_path_factory.mktemp("other") / "dataset")
    reseal(copy / "manifest.json", plan_digest="another")
    return copy


def again(
    run: Path, datasets: Mapping[Path, float], change: bool = False, **changes: object
) -> TrainResult:
    """Resume the run; it is left as it was."""
    before = file_hashes(run)
    config = Config(model=TINY_MODEL, train=train_config(**({"max_steps": 2} | changes)))
    try:
        return train(TrainRequest(config, dict(datasets), run, True, change), Watcher())
    finally:
        assert file_hashes(run) == before


@pytest.mark.parametrize("change", [False, True])
def test_with_the_same_data_there_is_nothing_to_do(
    tmp_path: Path, finished: Path, built: Path, change: bool
) -> None:
    assert again(finished, {built: 1.0}, change).last is None
    assert again(finished, {built: 7.0}, change, record_losses=True).last is None
    moved = shutil.copytree(built, tmp_path / "moved")
    assert again(finished, {moved: 1.0}, change).last is None


def test_other_data_are_refused_and_named(finished: Path, built: Path, other: Path) -> None:
    with pytest.raises(RunError, match=r"another mixture: data set \w+ is not given; data set"):
        again(finished, {other: 1.0})
    with pytest.raises(RunError, match=r"another mixture: data set \w+ is new.* no step left"):
        again(finished, {built: 1.0, other: 2.0})


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_no_step_is_left_for_other_data(
    finished: Path, built: Path, other: Path, weight: float
) -> None:
    expected = "trained to step 2 on another mixture: .* is finished: there is no step left"
    with pytest.raises(RunError, match=expected):
        again(finished, {built: 1.0, other: weight}, change=True)


def test_no_step_is_left_for_another_seed(finished: Path, built: Path) -> None:
    with pytest.raises(RunError, match=r"train\.seed: 1 -> 9\n.* there is no step left"):
        again(finished, {built: 1.0}, change=True, seed=9)
    with pytest.raises(RunError, match=r"train\.seed: 1 -> 9\n") as caught:
        again(finished, {built: 1.0}, seed=9)
    assert "--change-data" not in str(caught.value)


def test_what_a_run_changed_to_is_its_data(
    tmp_path: Path, finished: Path, built: Path, other: Path
) -> None:
    run = tmp_path / "run"
    run_training(run, built, max_steps=2, checkpoint_every_steps=1)
    shutil.rmtree(run / "checkpoints" / "step-0000002")
    changed = {built: 1.0, other: 2.0}
    config = Config(model=TINY_MODEL, train=train_config(max_steps=2, checkpoint_every_steps=1))
    train(TrainRequest(config, changed, run, resume=True, change_data=True), Watcher())
    checkpoint = latest_checkpoint(run)
    assert checkpoint
    assert (checkpoint.step, len(checkpoint.stream["segments"])) == (2, 2)
    for change in (False, True):
        assert again(run, changed, change, checkpoint_every_steps=1).last is None


def test_a_data_set_that_has_grown_since_is_the_same(tmp_path: Path) -> None:
    small, large = write_versions(tmp_path, 3, 8)
    with RowStream(small) as stream:
        next(stream)
        ended = Checkpoint(tmp_path, 2, stream.state(), {})
    check_nothing_changes(tmp_path, ended, [(open_dataset(large), 5.0)])
    with RowStream(large) as stream:
        next(stream)
        ended = Checkpoint(tmp_path, 2, stream.state(), {})
    with pytest.raises(RunError, match=r"data set \w+ is not given; data set \w+ is new"):
        check_nothing_changes(tmp_path, ended, [(open_dataset(small), 5.0)])
