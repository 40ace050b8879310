"""Commands about runs: train, trace, fill."""

from pathlib import Path
from typing import Any

import click

from jobs.console import OUT, say
from jobs.options import Finite, cached, configured, data_place, local_path, open_cache, resolve
from schemas.errors import ConfigError


@click.command()
@configured
@click.option("--data", multiple=True, metavar="DATASET[=WEIGHT]", help="Data set; repeatable.")
@click.option("--output", type=local_path, help="Folder of the run.")
@click.option(
    "--resume",
    type=click.Choice(("never", "auto")),
    default="never",
    show_default=True,
    help="auto: go on from the last checkpoint where there is one.",
)
@click.option(
    "--change-data",
    is_flag=True,
    help="With --resume auto: other data sets, weights, seed, batch size or order from there.",
)
@cached
def train(
    preset: str,
    overrides: tuple[str, ...],
    print_config: bool,
    data: tuple[str, ...],
    output: Path | None,
    resume: str,
    change_data: bool,
    **caching: Any,
) -> None:
    """Train a GLM on the rows of data sets, or go on with a run that was interrupted."""
    config = resolve(preset, overrides, print_config)
    if not data or output is None:
        raise click.UsageError("train needs --data DATASET and --output RUN")
    if change_data and resume != "auto":
        raise click.UsageError("--change-data changes what a run goes on with: add --resume auto")
    weighted = [parse_weight(text) for text in data]
    datasets = dict(weighted)
    if len(datasets) < len(weighted):
        raise ConfigError("--data: the same data set is given twice; give it once, with one weight")
    from jobs.train import TrainRequest
    from jobs.train import train as train_run
    from jobs.train_progress import TrainProgress, describe

    cache = open_cache(caching["cache"], caching["cache_bytes"])
    request = TrainRequest(config, datasets, output, resume == "auto", change_data, cache)
    with TrainProgress() as progress:
        result = train_run(request, progress)
    if result.last is None:
        say(f"{output}: finished before, at step {result.last_step}; nothing to do")
    else:
        say(f"{output}: trained to step {result.last_step}, {describe(result.last)}")


def parse_weight(text: str) -> tuple[Path | str, float]:
    """`DATASET` or `DATASET=WEIGHT` as path and weight; `ConfigError` for a bad weight."""
    path, separator, weight = text.rpartition("=")
    if not separator or Path(text).exists():
        return data_place(text), 1.0
    try:
        return data_place(path), float(weight)
    except ValueError as error:
        raise ConfigError(f"--data {text}: weight '{weight}' is no number") from error


@click.command()
@click.argument("run", type=local_path)
@click.option("--step", type=click.IntRange(1), required=True, help="Number of the step, from 1.")
@click.option("--rank", type=int, help="The part of this rank alone.  [default: all of them]")
@click.option("--world-size", type=int, help="Refuse a step that another number of ranks took.")
@click.option("--data", multiple=True, metavar="DATASET", help="A data set that was moved.")
@click.option("--loss", is_flag=True, help="With recorded losses, the highest first.")
@click.option("--samples", type=click.IntRange(1), help="Show so many at most.  [default: all]")
@click.option("--full", is_flag=True, help="Shorten no text.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; nothing is shortened.")
@cached
def trace(run: Path, step: int, data: tuple[str, ...], **options: Any) -> None:
    """Show the documents behind a step: where each sample is from, and its text with blanks."""
    from jobs.trace import TraceRequest, trace_step
    from jobs.trace_view import render_trace, trace_json

    places = tuple(data_place(place) for place in data)
    part = options["rank"], options["world_size"]
    cache = open_cache(options["cache"], options["cache_bytes"])
    found = trace_step(TraceRequest(run, step, *part, places, options["loss"], cache))
    if options["as_json"]:
        click.echo(trace_json(found, options["samples"]))
    else:
        # Wrapped at words for a person; for a program, lines stay whole.
        shown = render_trace(found, options["samples"], options["full"])
        OUT.print(shown, soft_wrap=not OUT.is_terminal)


@click.command()
@click.argument("run", type=local_path)
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
