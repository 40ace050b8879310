"""`blankstream demo`: the whole path on text that Python itself ships, in minutes.

Documents -> data set on the default executor -> a tiny GLM -> held-out losses -> filled blanks.
Everything it does can be done with the commands it names.
"""

import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from pydoc_data import topics

from rich.table import Table

from jobs.build import BuildRequest, build_dataset
from jobs.console import OUT, PROGRESS, note, say
from jobs.devices import default_device
from jobs.fill import open_filler
from jobs.heldout import heldout_losses, unigram_losses
from jobs.metrics import SilentWatcher, StepMetrics
from jobs.progress.build_progress import BuildProgress
from jobs.run_checkpoints import last_checkpoint
from jobs.runs import open_run
from jobs.summary import build_summary
from jobs.train import TrainRequest, train
from jobs.train_progress import TrainProgress
from model.sampling import FillOptions
from pipeline.dataset import open_dataset
from schemas.config import Config
from schemas.storage import commit_text

TRAINING_SECONDS = 150.0
"""What training may take; the number of steps is chosen for this from the speed measured."""

MAX_STEPS, _PROBE_STEPS = 2000, 12

BLANKS = (
    "The [MASK] statement is used to define a function.",
    "If the object has no such attribute, an [MASK] exception is raised.",
    "The following example shows how [MASK] can be used in a [MASK] statement.",
)


def overrides() -> list[str]:
    """What the demo changes in the preset: more held-out text and more passes over little text."""
    return ["build.heldout_ratio=0.1", "build.passes=4", "build.item_bytes=65536"]


def run_demo(config: Config, output: Path, executor: str, workers: int) -> None:
    """Everything, into `output`; a second call goes on where the first one ended."""
    started = time.monotonic()
    text, dataset, run = output / "text", output / "dataset", output / "run"
    _step(1, f"Write the help topics of Python as documents to {text}")
    say(write_documents(text / "topics.jsonl"))
    _step(2, f"Build a data set of pre-corrupted rows in {dataset} ({executor})")
    with BuildProgress() as building:
        request = BuildRequest(config.build, [text], dataset, executor, workers)
        manifest = build_dataset(request, building)
    say(build_summary(dataset, manifest))
    _step(3, f"Train a tiny GLM in {run}, for at most three minutes")
    config = with_steps(config, dataset, run)
    with TrainProgress() as training:
        train(TrainRequest(config, {dataset: 1.0}, run, resume=True), training)
    _step(4, "Compare its held-out loss with a unigram of the training labels")
    with PROGRESS.status("Reading the held-out rows"):
        table = loss_table(run, dataset)
    OUT.print(table)
    _step(5, "Fill blanks")
    _fill(run)
    say(f"\nAll of it took {time.monotonic() - started:.0f} s. {_next_commands(dataset, run)}")


def write_documents(path: Path) -> str:
    """One JSON line per help topic of `pydoc`, by name; returns what was written, in words."""
    lines = [
        json.dumps({"id": name, "text": text}) + "\n"
        for name, text in sorted(topics.topics.items())
    ]
    content = "".join(lines)
    if not path.exists() or path.read_text(encoding="utf-8") != content:
        commit_text(path, content)
    characters = sum(map(len, topics.topics.values()))
    return f"{path}: {len(lines)} documents, {characters:,} characters"


def with_steps(config: Config, dataset: Path, run: Path) -> Config:
    """`config` with as many steps as fit `TRAINING_SECONDS` here, or those of a run begun before.

    The speed is measured in a run of a few steps that is thrown away.
    """
    if (run / "config.toml").exists():
        steps = open_run(run).config.train.max_steps
    else:
        with PROGRESS.status("Measuring the time of a step"):
            seconds = _seconds_per_step(config, dataset)
        steps = max(1, min(MAX_STEPS, int(TRAINING_SECONDS / seconds)))
        note(f"{seconds:.2f} s a step: {steps} steps")
    train_config = dataclasses.replace(
        config.train, max_steps=steps, checkpoint_every_steps=max(1, steps // 4)
    )
    return dataclasses.replace(config, train=train_config)


class _Timer(SilentWatcher):
    def __init__(self) -> None:
        self.times: list[float] = []

    def step_done(self, metrics: StepMetrics) -> None:
        self.times.append(time.monotonic())


def _seconds_per_step(config: Config, dataset: Path) -> float:
    """Seconds of a step behind the first, which also warms up."""
    short = dataclasses.replace(config.train, max_steps=_PROBE_STEPS)
    timer = _Timer()
    with tempfile.TemporaryDirectory() as folder:
        probe = dataclasses.replace(config, train=short)
        train(TrainRequest(probe, {dataset: 1.0}, Path(folder)), timer)
    return (timer.times[-1] - timer.times[0]) / (len(timer.times) - 1)


def loss_table(run: Path, dataset: Path) -> Table:
    """Per objective: held-out loss of the model and of the unigram, on the same labels."""
    opened, begun = open_dataset(dataset), open_run(run)
    model = last_checkpoint(run).load_model(begun.config.model).to(default_device())
    found, unigram = heldout_losses(model, opened), unigram_losses(opened)
    vocab_size = opened.manifest.tokenizer["vocab_size"]
    table = Table(title=f"held-out loss, nats per label; vocabulary {vocab_size:,}", min_width=70)
    for name in ("objective", "labels", "GLM", "unigram", "below it by"):
        table.add_column(name, justify="left" if name == "objective" else "right")
    for name, loss in sorted(found.items()):
        base = unigram[name].loss
        numbers = (loss.loss, base, base - loss.loss)
        table.add_row(name, f"{loss.num_labels:,}", *(f"{number:.3f}" for number in numbers))
    return table


def _fill(run: Path) -> None:
    filler = open_filler(run)
    for text in BLANKS:
        say(filler.fill(text, FillOptions(max_new_tokens=16)).text)
        say(f"  asked: {text}")


def _step(number: int, text: str) -> None:
    say(f"\n{number}. {text}")


def _next_commands(dataset: Path, run: Path) -> str:
    commands: Sequence[str] = (
        f'blankstream fill {run} "Use the [MASK] statement to leave a loop."',
        f"blankstream inspect {dataset} --row 3",
        f"blankstream verify {dataset}",
        "blankstream build --preset tiny --input YOUR.jsonl --output DATASET",
        "blankstream train --preset tiny --data DATASET --output RUN",
    )
    return "Try next:\n  " + "\n  ".join(commands)
