"""Training: it learns, goes on bit for bit, and refuses what cannot work before it writes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.metrics import METRICS_NAME
from jobs.run_checkpoints import last_checkpoint
from jobs.stream_record import read_stretches
from jobs.train import TrainRequest, open_stream, train
from schemas.config import Config, to_mapping, to_toml
from schemas.errors import (
    BlankstreamError,
    ConfigError,
    CorruptDataError,
    DatasetError,
    RunError,
    UserError,
)
from schemas.storage import TEMPORARY_MARK
from tests.corpus import file_hashes
from tests.datasets import flip, reseal
from tests.trained import TINY_MODEL, Watcher, checkpoint_names, logged, run_training, train_config

ROOT = Path(__file__).resolve().parents[1]


def saved(run: Path) -> dict[str, str]:
    return file_hashes(run / "checkpoints" / "step-0000006")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A run of six steps without interruption; read it, do not change it."""
    run = tmp_path_factory.mktemp("straight") / "run"
    run_training(run, built)
    return run


def test_a_run_logs_every_step_and_saves_every_third(tmp_path: Path, built: Path) -> None:
    watcher = Watcher()
    result = run_training(tmp_path / "run", built, watcher=watcher)
    assert (result.first_step, result.last_step, watcher.saved) == (0, 6, [3, 6])
    lines = logged(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["consumed_rows"] for line in lines] == [8, 16, 24, 32, 40, 48]
    assert lines[0].keys() >= {"loss", "loss/blank", "loss/document", "lr", "grad_norm"}
    last = watcher.steps[-1]
    assert result.last == last
    assert 0 < last.data_wait_ratio < 1
    assert last.tokens_per_second > 0


def test_equal_requests_give_equal_runs(tmp_path: Path, built: Path, straight: Path) -> None:
    run_training(tmp_path / "run", built)
    assert logged(tmp_path / "run") == logged(straight)
    assert saved(tmp_path / "run") == saved(straight)


def test_training_learns(tmp_path: Path, built: Path) -> None:
    model = replace(TINY_MODEL, dropout=0.0)
    run_training(
        tmp_path / "run",
        built,
        model=model,
        max_steps=60,
        peak_lr=1e-2,
        checkpoint_every_steps=100,
    )
    losses = [line["loss"] for line in logged(tmp_path / "run")]
    assert sum(losses[-5:]) / 5 < losses[0] - 0.5
    assert checkpoint_names(tmp_path / "run") == ["step-0000060"]


class Killed(BaseException):
    """Ends a run in the middle, as a signal would."""


def interrupt_at(step: int) -> Watcher:
    def after(done: int) -> None:
        if done == step:
            raise Killed

    return Watcher(after)


@pytest.mark.fault
@pytest.mark.parametrize("step", [1, 3, 5])
def test_an_interrupted_run_goes_on_bit_for_bit(
    tmp_path: Path, built: Path, straight: Path, step: int
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Killed):
        run_training(run, built, watcher=interrupt_at(step))
    assert [line["step"] for line in logged(run)] == list(range(1, step + 1))
    result = run_training(run, built, resume=True)
    assert result.first_step == (3 if step == 5 else 0)
    assert logged(run) == logged(straight)
    assert saved(run) == saved(straight)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.trained import Watcher, run_training
kill = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == 5 else None
run_training(Path(sys.argv[1]), Path(sys.argv[2]), watcher=Watcher(kill))
"""


@pytest.mark.fault
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, built: Path, straight: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, str(run), str(built)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    with (run / METRICS_NAME).open("a") as file:
        file.write('{"step": 6, "lo')
    assert run_training(run, built, resume=True).first_step == 3
    assert logged(run) == logged(straight)
    assert saved(run) == saved(straight)


SIGNALLED = """
import os, sys
from jobs import run_checkpoints, train_progress
from jobs.cli import main
number, moment = int(sys.argv.pop(1)), sys.argv.pop(1)
def behind(owner, name, is_moment):
    real = getattr(owner, name)
    def call(*arguments):
        real(*arguments)
        if is_moment(*arguments):
            os.kill(os.getpid(), number)
    setattr(owner, name, call)
if moment == "step":
    behind(train_progress.TrainProgress, "step_done", lambda _, metrics: metrics.step == 5)
else:
    behind(run_checkpoints, "save_tensors", lambda _, path: "step-0000006" in str(path))
main()
"""


@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["step", "checkpoint"])
def test_a_run_that_a_signal_ended_goes_on_bit_for_bit(
    tmp_path: Path, built: Path, straight: Path, number: signal.Signals, moment: str
) -> None:
    preset, run, temporary = (tmp_path / name for name in ("preset.toml", "run", "temporary"))
    preset.write_text(to_toml(to_mapping(Config(model=TINY_MODEL, train=train_config()))))
    temporary.mkdir()
    arguments = ["train", "--preset", preset, "--data", built, "--output", run, "--resume", "auto"]
    command = [sys.executable, "-c", SIGNALLED, str(int(number)), moment, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + number, done.stderr
    assert f"Interrupted ({number.name}); what was finished stays" in done.stderr
    assert "Traceback" not in done.stderr
    assert checkpoint_names(run) == ["step-0000003"]
    assert [path for path in run.rglob("*") if TEMPORARY_MARK in path.name] == []
    assert list(temporary.iterdir()) == []
    assert run_training(run, built, resume=True).first_step == 3
    assert logged(run) == logged(straight)
    assert saved(run) == saved(straight)


def test_a_finished_run_returns_at_once(tmp_path: Path, built: Path, straight: Path) -> None:
    run = shutil.copytree(straight, tmp_path / "run")
    before = file_hashes(run)
    result = run_training(run, built, resume=True)
    assert (result.first_step, result.last_step, result.last) == (6, 6, None)
    assert file_hashes(run) == before


def test_resuming_where_there_is_nothing_begins_at_step_0(tmp_path: Path, built: Path) -> None:
    assert run_training(tmp_path / "run", built, resume=True, max_steps=1).first_step == 0


def test_a_run_is_not_overwritten(built: Path, straight: Path) -> None:
    with pytest.raises(RunError, match="this run has a checkpoint of step 6; go on with --resume"):
        run_training(straight, built)


def test_a_run_goes_on_only_with_its_data(tmp_path: Path, built: Path) -> None:
    with pytest.raises(Killed):
        run_training(tmp_path / "run", built, watcher=interrupt_at(4))
    other = with_another_digest(built, tmp_path / "other")
    with pytest.raises(DatasetError, match=r"another mixture: data set \w+ is not given; data set"):
        run_training(tmp_path / "run", other, resume=True)
    assert len(logged(tmp_path / "run")) == 4


def with_another_digest(dataset: Path, copy: Path) -> Path:
    shutil.copytree(dataset, copy)
    reseal(copy / "manifest.json", plan_digest="another")
    return copy


def test_what_the_stream_refuses_is_refused_before_anything_is_written(
    tmp_path: Path, built: Path
) -> None:
    other = with_another_digest(built, tmp_path / "other")
    config = Config(model=TINY_MODEL, train=train_config())
    request = TrainRequest(config, {built: 1.0, other: 1e-12}, tmp_path / "run")
    with pytest.raises(UserError, match="it would never be chosen; leave it out or raise it"):
        train(request, Watcher())
    assert not (tmp_path / "run").exists()


@pytest.mark.fault
def test_a_run_that_cannot_go_on_is_left_as_it_was(tmp_path: Path, built: Path) -> None:
    run, other = tmp_path / "run", with_another_digest(built, tmp_path / "other")
    with pytest.raises(Killed):
        run_training(run, built, watcher=interrupt_at(4))
    (run / "checkpoints" / f"step-0000006{TEMPORARY_MARK}1").mkdir()
    before = file_hashes(run), checkpoint_names(run)
    with pytest.raises(DatasetError, match=f"^{run}: the state belongs to another mixture"):
        run_training(run, other, resume=True)
    assert (file_hashes(run), checkpoint_names(run)) == before
    flip(run / "checkpoints" / "step-0000003" / "model.safetensors", 400)
    before = file_hashes(run), checkpoint_names(run)
    config = Config(model=TINY_MODEL, train=train_config(seed=7))
    request = TrainRequest(config, {other: 1.0}, run, resume=True, change_data=True)
    with pytest.raises(CorruptDataError, match=r"model\.safetensors: damaged"):
        train(request, Watcher())
    assert (file_hashes(run), checkpoint_names(run)) == before


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(tmp_path: Path, built: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(BlankstreamError, match=r"step \d+: the loss is .* checkpoint is intact"):
        run_training(run, built, peak_lr=10.0, weight_decay=10.0, max_steps=400)
    steps = len(logged(run))
    assert steps > 3
    assert last_checkpoint(run).step == steps // 3 * 3


def test_parameters_that_are_not_finite_are_not_saved(tmp_path: Path, built: Path) -> None:
    with pytest.raises(BlankstreamError, match=r"step 1: the parameter '\S+' is no longer finite"):
        run_training(tmp_path / "run", built, adam_epsilon=0.0, checkpoint_every_steps=1)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_only_the_last_checkpoints_are_kept(tmp_path: Path, built: Path) -> None:
    run_training(tmp_path / "run", built, checkpoint_every_steps=1, keep_checkpoints=2)
    assert checkpoint_names(tmp_path / "run") == ["step-0000005", "step-0000006"]


def test_windows_that_outgrow_the_model_are_refused_at_the_door(
    tmp_path: Path, built: Path
) -> None:
    expected = r"max_sequence_length=62: .* positions reach 63; set model\.max_sequence_length=63"
    with pytest.raises(ConfigError, match=expected):
        run_training(tmp_path / "run", built, model=replace(TINY_MODEL, max_sequence_length=62))
    assert not (tmp_path / "run").exists()


def test_without_a_plan_too_long_rows_are_found_in_the_batch(tmp_path: Path, built: Path) -> None:
    copy = shutil.copytree(built, tmp_path / "copy")
    (copy / "plan.json").unlink()
    with pytest.raises(ConfigError, match="max_sequence_length=30: a row has position"):
        run_training(tmp_path / "run", copy, model=replace(TINY_MODEL, max_sequence_length=30))


def test_rows_come_in_the_order_that_the_configuration_asks_for(
    tmp_path: Path, built: Path
) -> None:
    run_training(tmp_path, built, max_steps=1, order="windowed", window_shards=3)
    (stretch,) = read_stretches(tmp_path)
    assert [segment["order"] for segment in stretch.segments] == ["windowed/3"]


def test_ranks_share_a_batch(built: Path) -> None:
    request = TrainRequest(Config(train=train_config()), {built: 1.0}, Path("run"))
    streams = [open_stream(request, request.datasets, None, rank, 2) for rank in (0, 1)]
    whole = open_stream(request, request.datasets, None)
    shares = [next(stream).rows.tolist() for stream in streams]
    assert shares[0] + shares[1] == next(whole).rows.tolist()
    for stream in (*streams, whole):
        stream.close()


def test_importing_the_trainer_loads_only_what_training_needs() -> None:
    heavy = ["ray", "nltk", "sentencepiece", "tokenizers", "webdataset", "numba", "rich"]
    code = (
        "import json, sys, jobs.train, jobs.heldout, jobs.fill; "
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
