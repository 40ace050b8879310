"""Checkpoints of a run: finished or not there, the last few kept, damage found."""

from pathlib import Path

import pytest
import torch

from jobs import run_checkpoints
from jobs.run_checkpoints import (
    MODEL_NAME,
    OPTIMIZER_NAME,
    STATE_NAME,
    delete_leftovers,
    delete_old_checkpoints,
    finished_checkpoints,
    last_checkpoint,
    latest_checkpoint,
    write_checkpoint,
)
from schemas.errors import CorruptDataError, RunError
from schemas.storage import TEMPORARY_MARK
from tests.models import TINY, tiny_glm
from tests.trained import checkpoint_names

TRAINING = {"step/weight": torch.tensor(3.0), "random/cpu": torch.arange(4, dtype=torch.uint8)}
STREAM = {"consumed_rows": 24, "segments": []}


def write(run: Path, *steps: int) -> None:
    for step in steps:
        write_checkpoint(run, step, tiny_glm(seed=step), TRAINING, STREAM)


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path, 7)
    checkpoint = last_checkpoint(tmp_path)
    assert (checkpoint.step, checkpoint.stream) == (7, STREAM)
    assert checkpoint.path == tmp_path / "checkpoints" / "step-0000007"
    tensors = checkpoint.load_training_tensors()
    assert {name: value.tolist() for name, value in tensors.items()} == {
        name: value.tolist() for name, value in TRAINING.items()
    }
    found, expected = checkpoint.load_model(TINY).state_dict(), tiny_glm(seed=7).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_latest_is_the_one_of_the_highest_step(tmp_path: Path) -> None:
    write(tmp_path, 20, 3, 12_345_678)
    assert last_checkpoint(tmp_path).step == 12_345_678
    assert list(finished_checkpoints(tmp_path)) == [3, 20, 12_345_678]


def test_the_last_few_are_kept(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3, 4)
    delete_old_checkpoints(tmp_path, keep=2)
    assert checkpoint_names(tmp_path) == ["step-0000003", "step-0000004"]
    delete_old_checkpoints(tmp_path, keep=5)
    assert checkpoint_names(tmp_path) == ["step-0000003", "step-0000004"]


def test_a_run_without_a_finished_checkpoint_is_named(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    with pytest.raises(RunError, match=r"no finished checkpoint; .* --resume auto"):
        last_checkpoint(tmp_path)


@pytest.mark.fault
def test_unfinished_and_temporary_folders_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    folder = tmp_path / "checkpoints"
    (folder / "step-0000002" / STATE_NAME).unlink()
    (folder / "step-0000001").rename(folder / f"step-0000009{TEMPORARY_MARK}1-ab")
    assert latest_checkpoint(tmp_path) is None
    delete_leftovers(tmp_path)
    assert checkpoint_names(tmp_path) == ["step-0000002"]
    write(tmp_path, 2)
    assert last_checkpoint(tmp_path).step == 2


@pytest.mark.fault
def test_a_failed_write_leaves_the_earlier_checkpoint_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1)

    def fail(path: Path, content: str) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(run_checkpoints, "commit_text", fail)
    with pytest.raises(OSError, match="no space left"):
        write(tmp_path, 2)
    assert checkpoint_names(tmp_path) == ["step-0000001"]


@pytest.mark.fault
@pytest.mark.parametrize("name", [MODEL_NAME, OPTIMIZER_NAME])
def test_a_flipped_bit_is_found(tmp_path: Path, name: str) -> None:
    write(tmp_path, 1, 2)
    path = last_checkpoint(tmp_path).path / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    expected = (
        rf"{name}: damaged: expected xxh3 .* delete the folder .*step-0000002 to use the chec"
    )
    with pytest.raises(CorruptDataError, match=expected):
        load(tmp_path, name)
    path.unlink()
    with pytest.raises(CorruptDataError, match="found no file; delete the folder"):
        load(tmp_path, name)


@pytest.mark.fault
@pytest.mark.parametrize("name", [MODEL_NAME, OPTIMIZER_NAME, STATE_NAME])
def test_the_only_checkpoint_has_none_before_it(tmp_path: Path, name: str) -> None:
    write(tmp_path, 1)
    (last_checkpoint(tmp_path).path / name).write_bytes(b"{")
    expected = (
        rf"{name}: damaged.* restore the folder .*step-0000001 from a copy: it is the only "
        "checkpoint of the run, which without it begins anew at step 0"
    )
    with pytest.raises(CorruptDataError, match=expected):
        load(tmp_path, name)


def load(run: Path, name: str) -> None:
    checkpoint = last_checkpoint(run)
    if name == MODEL_NAME:
        checkpoint.load_model(TINY)
    else:
        checkpoint.load_training_tensors()


@pytest.mark.fault
@pytest.mark.parametrize("content", ["{", "[]", '{"step": 1, "xxh3": {}}'])
def test_a_damaged_state_is_named(tmp_path: Path, content: str) -> None:
    write(tmp_path, 1)
    (last_checkpoint(tmp_path).path / STATE_NAME).write_text(content)
    with pytest.raises(CorruptDataError, match=r"state\.json: damaged, or not written by"):
        latest_checkpoint(tmp_path)
