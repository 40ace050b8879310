"""Commands about data sets: build and its progress."""

from typing import Any

import click

from jobs.console import say
from jobs.options import configured, executor_options, resolve, split_arguments


@click.command()
@configured
@click.option(
    "--input",
    "inputs",
    multiple=True,
    help="File, folder, glob in quotes, or URL; repeatable.",
)
@click.option("--output", help="Folder of the data set, or URL of one on object storage.")
@click.option("--dry-run", is_flag=True, help="Plan and estimate; write nothing.")
@executor_options
def build(
    preset: str,
    overrides: tuple[str, ...],
    print_config: bool,
    inputs: tuple[str, ...],
    output: str | None,
    dry_run: bool,
    executor: str | None,
    **where: Any,
) -> None:
    """Turn documents into a data set of pre-corrupted rows, or go on with one, or grow it."""
    settings, more_inputs = split_arguments(overrides)
    config = resolve(preset, settings, print_config)
    if not inputs or not output:
        raise click.UsageError("build needs --input PATH and --output DATASET")
    from jobs.build import BuildRequest, build_dataset
    from jobs.dry_run import dry_run as estimate
    from jobs.estimate import render_estimate
    from jobs.executors.choice import default_executor
    from jobs.progress.build_progress import BuildProgress
    from jobs.summary import build_summary

    executor = executor or default_executor()
    _check_ray_options(executor, **where)
    request = BuildRequest(
        config.build,
        inputs + more_inputs,
        output,
        executor,
        card=config.card,
        **where,
    )
    with BuildProgress() as progress:
        if dry_run:
            say(render_estimate(estimate(request, progress)))
            return
        manifest = build_dataset(request, progress)
    say(build_summary(output, manifest))


def _check_ray_options(executor: str, address: str, dashboard: bool, **_: Any) -> None:
    """Refuse options that would be without effect."""
    if executor != "ray" and (address or dashboard):
        name = "--address" if address else "--dashboard"
        raise click.UsageError(f"{name} is for --executor ray, not {executor}; leave it out")
    if address and dashboard:
        raise click.UsageError(
            "--dashboard is for a Ray of our own; that of the cluster at --address is its own"
        )


@click.command()
@click.argument("dataset")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(dataset: str, as_json: bool) -> None:
    """Say how far a build is, whether it runs, and what is known of a data set."""
    from jobs.progress.count_items import count_items
    from jobs.progress.status import read_status, render_status
    from pipeline.stores.choice import open_store

    store = open_store(dataset)
    found = read_status(store, lambda: count_items(store))
    say(found.to_json() if as_json else render_status(found))
