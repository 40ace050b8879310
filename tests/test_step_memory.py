"""A step that gets no memory is one message, with the sizes that may be made smaller."""

from pathlib import Path

import pytest
import torch

from jobs import train
from jobs.step_memory import told_memory
from schemas.errors import UserError
from tests.trained import checkpoint_names, run_training, train_config


def test_what_torch_cannot_allocate_is_told_with_the_sizes() -> None:
    message = (
        r"^train\.batch_rows=8, train\.micro_batch_rows=2: there is no memory for a step with 2 "
        r"rows at a time \(.*; give a smaller train\.micro_batch_rows"
    )
    with (
        pytest.raises(UserError, match=message),
        told_memory(train_config(micro_batch_rows=2)),
    ):
        torch.empty(2**50)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_memory_of_any_kind_is_told(error: Exception) -> None:
    with pytest.raises(UserError, match="with 8 rows at a time"), told_memory(train_config()):
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes$") as caught, told_memory(train_config()):
        raise RuntimeError("shapes")
    assert not isinstance(caught.value, UserError)


def test_a_run_that_gets_no_memory_can_go_on(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(train, "train_step", fail)
        with pytest.raises(UserError, match=r"train\.micro_batch_rows=0"):
            run_training(tmp_path / "run", built)
    run_training(tmp_path / "run", built, max_steps=3, micro_batch_rows=4)
    assert checkpoint_names(tmp_path / "run") == ["step-0000003"]
