"""Commands about runs: train, fill."""

from pathlib import Path
from typing import Any

import click

from jobs.console import say
from jobs.options import Finite, configured, resolve
from schemas.errors import ConfigError


@click.command()
@configured
@click.option("--data", multiple=True, metavar="DATASET[=WEIGHT]", help="Data set; repeatable.")
@click.option("--output", type=Path, help="Folder of the run.")
@click.option(
    "--resume",
    type=click.Choice(("never", "auto")),
    default="never",
    show_default=True,
    help="auto: go on from the last checkpoint where there is one.",
)
def train(
    preset: str,
    overrides: tuple[str, ...],
    print_config: bool,
    data: tuple[str, ...],
    output: Path | None,
    resume: str,
) -> None:
    """Train a GLM on the rows of data sets, or go on with a run that was interrupted."""
    config = resolve(preset, overrides, print_config)
    if not data or output is None:
        raise click.UsageError("train needs --data DATASET and --output RUN")
    weighted = [parse_weight(text) for text in data]
    datasets = dict(weighted)
    if len(datasets) < len(weighted):
        raise ConfigError("--data: the same data set is given twice; give it once, with one weight")
    from jobs.train import train as train_run
    from jobs.train_progress import TrainProgress, describe

    with TrainProgress() as progress:
        result = train_run(config, datasets, output, resume == "auto", progress)
    if result.last is None:
        say(f"{output}: finished before, at step {result.last_step}; nothing to do")
    else:
        say(f"{output}: trained to step {result.last_step}, {describe(result.last)}")


def parse_weight(text: str) -> tuple[Path | str, float]:
    """`DATASET` or `DATASET=WEIGHT` as path and weight; `ConfigError` for a bad weight."""
    path, separator, weight = text.rpartition("=")
    if not separator or Path(text).exists():
        return Path(text), 1.0
    try:
        return Path(path), float(weight)
    except ValueError as error:
        raise ConfigError(f"--data {text}: weight '{weight}' is no number") from error


@click.command()
@click.argument("run", type=Path)
@click.argument("text")
@click.option(
    "--temperature",
    type=Finite(0),
    default=0.0,
    show_default=True,
    help="0 takes the most likely token; above, tokens are sampled.",
)
@click.option("--top-k", type=click.IntRange(0), default=0, help="Sample among so many; 0: all.")
@click.option("--top-p", type=Finite(0, 1), default=1.0, help="Nucleus sampling.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Tokens of one answer at most.",
)
def fill(run: Path, text: str, **options: Any) -> None:
    """Fill the blanks of TEXT: [MASK] for a few words, [sMASK] a sentence, [gMASK] a long end."""
    from jobs.fill import fill_text
    from model.sampling import FillOptions

    filled = fill_text(run, text, FillOptions(**options))
    say(filled.text)
    for number, answer in enumerate(filled.answers, start=1):
        say(f"  blank {number}: {answer}")
