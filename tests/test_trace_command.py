"""The command `trace`, and `train --change-data`: what a person types and sees."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from jobs.build import BuildRequest, build_dataset
from jobs.cli import main
from jobs.stream_record import read_stretches, record_stretch
from schemas.build_config import TokenizerConfig
from tests.corpus import NoProgress
from tests.trained import logged, run_training

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["blankstream", *map(str, arguments)])
        status: object = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        captured = capsys.readouterr()
        return int(str(status)), captured.out, " ".join(captured.err.split())

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A run of two steps with losses; read it, do not change it."""
    output = tmp_path_factory.mktemp("commands") / "run"
    run_training(output, built, max_steps=2, checkpoint_every_steps=1, record_losses=True)
    return output


def test_a_person_sees_where_every_sample_is_from(run, trained: Path) -> None:
    status, out, _ = run("trace", trained, "--step", 2)
    loss = logged(trained)[1]["loss"]
    assert (status, f"step 2 of {trained}: loss {loss:.4f}; rows 8..16" in out) == (0, True)
    samples = int(re.search(r"(\d+) samples", out)[1])
    places = re.findall(r"document .* \(topics\.jsonl, bytes \d+\.\.\d+\)", out)
    assert len(places) == samples == len(re.findall(r"data set dataset, row \d+ \(row \d+ of", out))
    assert re.search(r"window \d+, tokens \d+\.\.\d+; hidden of its \d+ tokens: \d+\.\.\d+", out)
    assert "{1: " in out


WIDTH = 80


def printed(run, monkeypatch: pytest.MonkeyPatch, trained: Path, is_terminal: bool) -> str:
    """All of step 1 as it is printed to a narrow terminal, or through a pipe."""
    narrow = Console(
        highlight=False,
        soft_wrap=True,
        width=WIDTH,
        force_terminal=is_terminal,
        color_system=None,
    )
    monkeypatch.setattr("jobs.commands.runs.OUT", narrow)
    status, out, _ = run("trace", trained, "--step", 1, "--full")
    assert status == 0
    return str(out)


def test_no_text_is_cropped(run, monkeypatch: pytest.MonkeyPatch, trained: Path) -> None:
    samples = json.loads(run("trace", trained, "--step", 1, "--json")[1])["samples"]
    texts = [sample["marked_text"] for sample in samples]
    assert max(map(len, texts)) > WIDTH
    piped = printed(run, monkeypatch, trained, is_terminal=False)
    lines = [line.rstrip() for line in piped.splitlines()]
    assert [text for text in texts if f"  {text}".rstrip() not in lines] == []
    assert any(re.fullmatch(r"data set .*, pass \d+\)", line) for line in lines)
    shown = printed(run, monkeypatch, trained, is_terminal=True)
    assert max(map(len, shown.splitlines())) <= WIDTH
    words = "".join(shown.split())
    assert [text for text in texts if "".join(text.split()) not in words] == []


def test_losses_are_shown_the_highest_first(run, trained: Path) -> None:
    status, out, _ = run("trace", trained, "--step", 2, "--loss", "--samples", 3)
    shown = [float(text) for text in re.findall(r", loss (\S+) over \d+ label", out)]
    assert (status, len(shown)) == (0, 3)
    assert shown == sorted(shown, reverse=True)
    assert re.search(r"… and \d+ more samples", out)


def test_json_says_the_same(run, trained: Path, tmp_path: Path) -> None:
    trained = shutil.copytree(trained, tmp_path / "run")
    (stretch,) = read_stretches(trained)
    record_stretch(trained, dataclasses.replace(stretch, world_size=4))
    whole = json.loads(run("trace", trained, "--step", 1, "--json")[1])
    assert (whole["rank"], whole["world_size"], whole["stop_row"]) == (None, 4, 8)
    options = ["--step", 1, "--rank", 1, "--loss", "--json"]
    status, out, _ = run("trace", trained, *options)
    content = json.loads(out)
    assert (status, content["first_row"], content["stop_row"]) == (0, 2, 4)
    assert (content["rank"], content["world_size"]) == (1, 4)
    assert run("trace", trained, *options, "--world-size", 4)[:2] == (0, out)
    assert content["metrics"]["loss"] == logged(trained)[0]["loss"]
    assert content["num_samples"] == len(content["samples"])
    _, text, _ = run("trace", trained, *options[:-1], "--full")
    assert f"step 1 of {trained}, rank 1 of 4: loss" in text
    for sample in content["samples"]:
        assert f"row {sample['stream_row']}, sample {sample['sample']}: " in text
        assert f"loss {sample['loss']:.4f} over {sample['num_labels']} label" in text
        assert f"document {sample['document']} " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{run}", "--step", "3"), "step 3 was not taken; the run has taken the steps 1..2"),
        (("{run}", "--step", "0"), "Invalid value for '--step'"),
        (("{run}",), "Missing option '--step'"),
        (("{run}", "--step", "1", "--rank", "1"), "rank 1 of 1: expected --rank in 0..0"),
        (("{run}", "--step", "1", "--world-size", "8"), "step 1 was taken by 1 rank, not by 8: le"),
        (("{tmp}/none", "--step", "1"), "none: no such folder; expected a run made by"),
        (("{run}", "--step", "1", "--data", "{tmp}/none"), "none: no such folder; expected a data"),
    ],
)
def test_mistakes_end_with_status_2(
    run, trained: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run("trace", *(text.format(run=trained, tmp=tmp_path) for text in arguments))
    assert (status, out) == (2, "")
    assert message in err


TINY = ("model.num_layers=1", "model.hidden_size=32", "train.checkpoint_every_steps=2")


def test_other_data_are_read_only_when_asked(run, built: Path, config, tmp_path: Path) -> None:
    second = tmp_path / "second"
    tokenizer = TokenizerConfig(path=str(built / "tokenizer"))
    (tmp_path / "more.txt").write_text("Nothing is repeated. Nothing is lost. " * 60)
    other = dataclasses.replace(config, tokenizer=tokenizer, heldout_ratio=0.0)
    request = BuildRequest(other, [tmp_path / "more.txt"], second, "serial", 1)
    build_dataset(request, NoProgress())
    start = ("train", "--data", built, "--output", tmp_path / "run", *TINY, "train.batch_rows=4")
    again = ("train", "--data", f"{built}=2", "--data", second, "--output", tmp_path / "run", *TINY)
    assert run(*start, "train.max_steps=3")[0] == 0
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-0000003")  # as if killed before it
    options = ("--resume", "auto", "train.batch_rows=4", "train.max_steps=3")
    status, _, err = run(*again, *options)
    assert status == 2
    assert "another mixture" in err
    assert "is new" in err
    assert "--change-data" in err
    status, _, err = run(*again, "--change-data", *options[2:])
    assert (status, "add --resume auto" in err) == (2, True)
    assert run(*again, "--change-data", *options)[0] == 0
    (steps,) = ([line["step"] for line in logged(tmp_path / "run")],)
    assert steps == [1, 2, 3]
    data = json.loads((tmp_path / "run" / "data.json").read_text())["datasets"]
    assert {(one["path"], one["weight"]) for one in data} == {(str(built), 2), (str(second), 1)}
    status, out, _ = run("trace", tmp_path / "run", "--step", 3)
    assert (status, "data set second, row" in out) == (0, True)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.trained import Watcher, run_training
kill = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == 5 else None
watcher = Watcher(kill)
run_training(Path(sys.argv[1]), Path(sys.argv[2]), watcher=watcher, record_losses=True)
"""


@pytest.mark.fault
def test_a_killed_run_is_traced_up_to_its_last_step(run, built: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "run"), str(built)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    for step in range(1, 6):
        status, out, _ = run("trace", tmp_path / "run", "--step", step, "--loss", "--json")
        losses = [(one["loss"], one["num_labels"]) for one in json.loads(out)["samples"]]
        total = sum(loss * labels for loss, labels in losses)
        mean = total / sum(labels for _, labels in losses)
        assert mean == pytest.approx(logged(tmp_path / "run")[step - 1]["loss"], rel=1e-6)
    status, _, err = run("trace", tmp_path / "run", "--step", 6, "--loss")
    assert (status, "step 6 was not taken" in err) == (2, True)
