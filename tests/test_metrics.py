"""Metrics: one line a step, and none of steps that will be taken again."""

import json
from pathlib import Path

import pytest

from jobs.metrics import METRICS_NAME, MetricsLog, StepMetrics, read_metrics
from schemas.errors import RunError


def metrics(step: int) -> StepMetrics:
    return StepMetrics(
        step=step,
        loss=2.0,
        objective_losses={"blank": 1.5, "document": 2.5},
        lr=0.1,
        grad_norm=3.0,
        tokens_per_second=100.0,
        data_wait_ratio=0.25,
        consumed_rows=8 * step,
    )


def write(run: Path, steps: range, after: int = 0) -> None:
    with MetricsLog(run, after) as log:
        for step in steps:
            log.append(metrics(step))
        log.sync()


def steps_in(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / METRICS_NAME).read_text().splitlines()]


def test_a_line_holds_everything_known_of_a_step(tmp_path: Path) -> None:
    write(tmp_path, range(3, 4))
    assert json.loads((tmp_path / METRICS_NAME).read_text()) == {
        "step": 3,
        "loss": 2.0,
        "loss/blank": 1.5,
        "loss/document": 2.5,
        "lr": 0.1,
        "grad_norm": 3.0,
        "tokens_per_second": 100.0,
        "data_wait_ratio": 0.25,
        "consumed_rows": 24,
    }


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        log.append(metrics(1))
        assert steps_in(tmp_path) == [1]


def test_lines_behind_the_checkpoint_are_cut_off(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    write(tmp_path, range(4, 5), after=3)
    assert steps_in(tmp_path) == [1, 2, 3, 4]


@pytest.mark.fault
@pytest.mark.parametrize("torn", ['{"step": 3, "lo', '{"step": 3}', "\0\0\0\0\n", "[3]\n"])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: str) -> None:
    write(tmp_path, range(1, 3))
    with (tmp_path / METRICS_NAME).open("a") as file:
        file.write(torn)
    write(tmp_path, range(3, 4), after=5)
    assert steps_in(tmp_path) == [1, 2, 3]


def test_a_run_that_begins_anew_begins_with_no_lines(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    write(tmp_path, range(1, 2))
    assert steps_in(tmp_path) == [1]


def test_the_line_of_a_step_is_read_while_others_are_written(tmp_path: Path) -> None:
    write(tmp_path, range(1, 13))
    with (tmp_path / METRICS_NAME).open("a") as file:
        file.write('{"step": 13, "lo')
    assert [read_metrics(tmp_path, step)["consumed_rows"] for step in (1, 2, 12)] == [8, 16, 96]
    with pytest.raises(
        RunError, match=r"step 13 was not taken; the run has taken the steps 1\.\.12"
    ):
        read_metrics(tmp_path, 13)


def test_a_line_that_is_lost_among_others_is_no_step_that_was_not_taken(tmp_path: Path) -> None:
    lines = [f'{{"step": {step}, "loss": 1.0}}\n' for step in (1, 2, 3)]
    (tmp_path / METRICS_NAME).write_text(lines[0] + "#" + lines[1][1:] + lines[2])
    with pytest.raises(RunError, match=r"metrics\.jsonl: the line of step 2 is missing; restore"):
        read_metrics(tmp_path, 2)


def test_a_run_without_a_step_has_none_to_read(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be read .* whether step 1 was tak"):
        read_metrics(tmp_path, 1)
    write(tmp_path, range(0))
    with pytest.raises(RunError, match="step 1 was not taken; the run has taken no step yet"):
        read_metrics(tmp_path, 1)


@pytest.mark.parametrize(
    "line", ['{"step": 2, "x": 1}', '{"step": 2, "loss": null}', '{"step": 2,']
)
def test_a_line_without_a_loss_is_damaged(tmp_path: Path, line: str) -> None:
    (tmp_path / METRICS_NAME).write_text(f"{line}\n")
    with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be read .* whether step 2 was tak"):
        read_metrics(tmp_path, 2)
