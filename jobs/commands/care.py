"""Commands that look after data sets: verify, repair, merge."""

from typing import Any

import click
from click.core import ParameterSource

from jobs.console import note, say
from jobs.options import Finite, counted, local_executor_options, resolve, split_arguments
from schemas.errors import ConfigError, CorruptDataError, UserError

_inputs = click.option(
    "--input", "inputs", multiple=True, metavar="PATH", help="What was built; repeatable."
)


@click.command()
@click.argument("dataset")
@click.option("--deep", "is_deep", is_flag=True, help="Laws of every sample, and re-derivation.")
@_inputs
@click.option(
    "--share",
    type=Finite(0, 1),
    default=0.05,
    show_default=True,
    help="Part of the items that --deep derives again from --input, at least one.",
)
@local_executor_options
def verify(dataset: str, executor: str | None, **options: Any) -> None:
    """Read a data set whole and compare it with what was recorded; exit 1 on damage."""
    from jobs.care.inspection import VerifyRequest
    from jobs.care.verify import verify_dataset
    from jobs.progress.build_progress import bytes_bar

    _check_deep(dataset, options["is_deep"], options["inputs"])
    request = VerifyRequest(dataset, executor=executor or "", **options)
    with bytes_bar("Verifying") as advance:
        found = verify_dataset(request, advance)
    for problem in found.problems:
        say(f"damaged: {problem}")
    for one in found.notes:
        note(one)
    if found.problems:
        raise CorruptDataError(f"{dataset}: damaged, {len(found.problems)} listed above")
    deep = f", {found.samples:,} samples lawful, {counted(found.rederived, 'item')} derived again"
    say(
        f"{dataset}: {counted(found.shards, 'shard')}, {found.rows:,} rows, {found.bytes:,} bytes"
        f"{deep if request.is_deep else ''}, all intact"
    )


def _check_deep(dataset: str, is_deep: bool, inputs: tuple[str, ...]) -> None:
    """Refuse options that would be without effect, and the data set as its own source."""
    share = click.get_current_context().get_parameter_source("share")
    if not is_deep and (inputs or share is ParameterSource.COMMANDLINE):
        raise click.UsageError("--input and --share are for --deep; add it, or leave them out")
    if any(place.rstrip("/") == dataset.rstrip("/") for place in inputs):
        raise UserError(f"{dataset}: is the data set; give what it was built of as --input")


@click.command()
@click.argument("dataset")
@_inputs
@local_executor_options
def repair(dataset: str, inputs: tuple[str, ...], executor: str | None, workers: int) -> None:
    """Put damaged or missing files of a data set back to the bytes they had, and nothing else."""
    from jobs.care.repair import RepairRequest, repair_dataset
    from jobs.progress.build_progress import bytes_bar

    request = RepairRequest(dataset, inputs, executor or "", workers)
    with bytes_bar("Verifying") as advance:
        done = repair_dataset(request, advance)
    for problem in done.problems:
        say(f"was damaged: {problem}")
    for one in done.notes:
        note(one)
    if not done.files:
        say(f"{dataset}: nothing to repair")
        return
    for name in done.files:
        say(f"written: {name}")
    files, items = counted(len(done.files), "file"), counted(done.items, "item")
    say(f"{dataset}: {files} written, {items} built again")


@click.command()
@click.argument("arguments", nargs=-1, metavar="DATASET DATASET... [card.KEY=VALUE]...")
@click.option("--output", help="Folder or URL of the data set to make.")
def merge(arguments: tuple[str, ...], output: str | None) -> None:
    """Join data sets of one recipe into a new one; nothing is built again."""
    settings, datasets = split_arguments(arguments)
    if len(datasets) < 2 or not output:
        raise click.UsageError("merge needs two DATASETs or more and --output DATASET")
    if other := [text for text in settings if not text.startswith("card.")]:
        raise ConfigError(f"{other[0]}: merge builds nothing; it takes card.KEY=VALUE only")
    from jobs.care.merge import merge_datasets
    from jobs.progress.build_progress import bytes_bar
    from jobs.summary import build_summary

    card = resolve("tiny", settings, False).card
    with bytes_bar("Copying") as advance:
        manifest = merge_datasets(datasets, output, advance, card)
    say(build_summary(output, manifest))
