"""The `blankstream` command: arguments in, one message out.

Every mistake of the caller ends with exit status 2 and one message, every other fault foreseen with
exit status 1; what is unforeseen keeps its traceback.
"""

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click

from jobs.console import OUT, complain, note, say
from schemas.config import Config, load_config, to_mapping, to_toml
from schemas.errors import BlankstreamError, ConfigError, CorruptDataError, UserError

Command = TypeVar("Command", bound=Callable[..., Any])

PRESETS = Path(__file__).parent / "presets"


def main() -> None:
    """Entry point of the console script; turns errors into a message and an exit status."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        note("Interrupted; what was finished stays")
        sys.exit(130)
    except OSError as error:
        complain(f"{error}; what was finished stays")
        sys.exit(1)
    except BlankstreamError as error:
        complain(str(error))
        sys.exit(2 if isinstance(error, UserError) else 1)


def find_preset(name: str) -> Path:
    """File of a preset by name, or of a TOML file by path; `ConfigError` listing the presets."""
    path = Path(name)
    if path.suffix == ".toml":
        return path
    preset = PRESETS / f"{name}.toml"
    known = sorted(file.stem for file in PRESETS.glob("*.toml"))
    if name not in known:
        raise ConfigError(
            f"preset '{name}' is unknown; choose from {', '.join(known)}, or give a .toml file"
        )
    return preset


def configured(command: Command) -> Command:
    """Add --preset, --print-config and `section.key=value` arguments to a command."""
    command = click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")(command)
    command = click.option(
        "--print-config", is_flag=True, help="Print the resulting configuration and stop."
    )(command)
    return click.option("--preset", default="tiny", show_default=True, help="Name or .toml file.")(
        command
    )


def executor_options(command: Command) -> Command:
    """Add --executor and --workers to a command."""
    command = click.option(
        "--workers", type=click.IntRange(1), default=len(os.sched_getaffinity(0)), show_default=True
    )(command)
    return click.option(
        "--executor",
        type=click.Choice(("serial", "processes", "ray")),
        help="Default: ray where it is installed, else processes.",
    )(command)


def resolve(preset: str, overrides: tuple[str, ...], print_config: bool) -> Config:
    """The configuration asked for; prints it and ends the command with --print-config."""
    config = load_config(find_preset(preset), overrides, PRESETS)
    if print_config:
        say(to_toml(to_mapping(config)))
        raise click.exceptions.Exit(0)
    return config


def split_arguments(arguments: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Overrides and inputs: what exists or is no `key=value`, so that `--input folder/*` works."""
    is_input = [
        "=" not in text or "://" in text.split("=")[0] or Path(text).exists() for text in arguments
    ]
    pairs = list(zip(arguments, is_input, strict=True))
    return tuple(a for a, place in pairs if not place), tuple(a for a, place in pairs if place)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("blankstream"), prog_name="blankstream")
def cli() -> None:
    """GLM pretraining on streamed, pre-corrupted shards.

    `blankstream demo` shows everything once, on text that Python ships, in minutes.
    """


@cli.command()
@configured
@click.option(
    "--input",
    "inputs",
    multiple=True,
    help="File, folder, glob in quotes, or URL; repeatable.",
)
@click.option("--output", type=Path, help="Folder of the data set.")
@executor_options
def build(
    preset: str,
    overrides: tuple[str, ...],
    print_config: bool,
    inputs: tuple[str, ...],
    output: Path | None,
    executor: str | None,
    workers: int,
) -> None:
    """Turn documents into a data set of pre-corrupted rows, or go on with one, or grow it."""
    settings, more_inputs = split_arguments(overrides)
    config = resolve(preset, settings, print_config)
    if not inputs or output is None:
        raise click.UsageError("build needs --input PATH and --output DATASET")
    from jobs.build import BuildRequest, build_dataset
    from jobs.build_progress import BuildProgress
    from jobs.executors import default_executor
    from jobs.summary import build_summary

    request = BuildRequest(
        config.build, inputs + more_inputs, output, executor or default_executor(), workers
    )
    with BuildProgress() as progress:
        manifest = build_dataset(request, progress)
    say(build_summary(output, manifest))


@cli.command()
@click.argument("dataset", type=Path)
@click.option("--row", type=int, default=0, show_default=True, help="Number of the row.")
@click.option("--split", type=click.Choice(("train", "heldout")), default="train")
@click.option("--html", type=Path, metavar="FILE", help="Write a page for the browser instead.")
@click.option("--tokens", is_flag=True, help="Shorten nothing: every token of long samples.")
def inspect(dataset: Path, row: int, split: str, html: Path | None, tokens: bool) -> None:
    """Show a row: text with its blanks, both parts, labels, positions and the attention mask."""
    from jobs.inspect import check_page_place, read_row, write_page
    from jobs.inspect_page import render_page
    from jobs.inspect_terminal import render_row

    if html is None:
        OUT.print(render_row(read_row(dataset, split, row), tokens), soft_wrap=False)
        return
    check_page_place(html, dataset)
    write_page(html, render_page(read_row(dataset, split, row)))
    say(f"{html}: {split} row {row}; open it in a browser")


@cli.command()
@click.argument("dataset", type=Path)
def verify(dataset: Path) -> None:
    """Read a data set whole and compare it with what was recorded; exit 1 on damage."""
    from jobs.build_progress import bytes_bar
    from jobs.verify import verify_dataset

    with bytes_bar("Verifying") as advance:
        found = verify_dataset(dataset, advance)
    for problem in found.problems:
        say(f"damaged: {problem}")
    if found.problems:
        raise CorruptDataError(f"{dataset}: damaged, {len(found.problems)} listed above")
    say(f"{dataset}: {found.shards} shards, {found.rows:,} rows, {found.bytes:,} bytes, all intact")


@cli.command()
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


@cli.command()
@click.argument("run", type=Path)
@click.argument("text")
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="0 takes the most likely token; above, tokens are sampled.",
)
@click.option("--top-k", type=click.IntRange(0), default=0, help="Sample among so many; 0: all.")
@click.option("--top-p", type=click.FloatRange(0, 1), default=1.0, help="Nucleus sampling.")
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


@cli.command()
@click.option("--output", type=Path, default=Path("demo"), show_default=True)
@executor_options
def demo(output: Path, executor: str | None, workers: int) -> None:
    """Everything once, on text that Python itself ships: build, train, evaluate, fill."""
    from jobs.demo import overrides, run_demo
    from jobs.executors import default_executor

    config = load_config(find_preset("tiny"), overrides())
    run_demo(config, output, executor or default_executor(), workers)
