"""Commands that show: inspect, demo."""

from pathlib import Path
from typing import Any

import click

from jobs.console import OUT, say
from jobs.options import (
    cached,
    data_place,
    find_preset,
    local_executor_options,
    local_path,
    open_cache,
)
from schemas.config import load_config


@click.command()
@click.argument("dataset")
@click.option("--row", type=int, default=0, show_default=True, help="Number of the row.")
@click.option("--split", type=click.Choice(("train", "heldout")), default="train")
@click.option(
    "--html", type=local_path, metavar="FILE", help="Write a page for the browser instead."
)
@click.option("--tokens", is_flag=True, help="Shorten nothing: every token of long samples.")
@cached
def inspect(dataset: str, row: int, split: str, html: Path | None, **options: Any) -> None:
    """Show a row: text with its blanks, both parts, labels, positions and the attention mask."""
    from jobs.inspect import check_page_place, read_row, write_page
    from jobs.inspect_terminal import render_row
    from jobs.pages.inspect_page import render_page
    from pipeline.dataset import open_dataset

    cache = open_cache(options["cache"], options["cache_bytes"])
    opened = open_dataset(data_place(dataset), cache)
    if html is None:
        OUT.print(render_row(read_row(opened, split, row), options["tokens"]), soft_wrap=False)
        return
    check_page_place(html)
    write_page(html, render_page(read_row(opened, split, row)))
    say(f"{html}: {split} row {row}; open it in a browser")


@click.command()
@click.option("--output", type=local_path, default=Path("demo"), show_default=True)
@local_executor_options
def demo(output: Path, executor: str | None, workers: int) -> None:
    """Everything once, on text that Python itself ships: build, train, evaluate, fill."""
    from jobs.demo import overrides, run_demo
    from jobs.executors.choice import default_executor

    config = load_config(find_preset("tiny"), overrides())
    run_demo(config, output, executor or default_executor(), workers)
