"""Options and arguments that several commands share, and how a configuration comes from them.

Stands between `cli.py`'s commands and `schemas/config.py`.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobs.console import say
from jobs.executors.executor import EXECUTORS
from schemas.config import Config, load_config, to_mapping, to_toml
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.shard_cache.folder import CacheFolder

Command = TypeVar("Command", bound=Callable[..., Any])

PRESETS = Path(__file__).parent / "presets"


class Finite(click.FloatRange):
    """A number in a range; `nan`, which no comparison refuses, is none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; a usage error for what is none."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def local_path(text: str) -> Path:
    """The path; a usage error for a URL, of which `Path` would make a folder named `s3:`."""
    from pipeline.readers.remote import is_url

    if is_url(text):
        raise click.BadParameter(f"{text} is a URL, expected a local path.")
    return Path(text)


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


def cached(command: Command) -> Command:
    """Add --cache and --cache-bytes to a command that reads data sets."""
    command = click.option(
        "--cache-bytes",
        type=click.IntRange(1),
        help="Most that --cache takes, over all processes.  [default: 100 GB]",
    )(command)
    return click.option(
        "--cache",
        type=local_path,
        help="Folder for shards of data sets behind URLs; processes may share it.",
    )(command)


def open_cache(folder: Path | None, limit_bytes: int | None) -> "CacheFolder | None":
    """The cache that was asked for with `cached`; `UserError` for a folder that cannot be one, a
    usage error for a limit of nothing."""
    from pipeline.shard_cache.folder import CACHE_BYTES, CacheFolder

    if folder is None and limit_bytes is not None:
        raise click.UsageError("--cache-bytes limits what --cache takes: add --cache FOLDER")

    return None if folder is None else CacheFolder(folder, limit_bytes or CACHE_BYTES)


def data_place(text: str) -> Path | str:
    """A data set as it was named: a URL as it is, else a path."""
    from pipeline.readers.remote import is_url

    return text if is_url(text) else Path(text)


def executor_options(command: Command) -> Command:
    """Add --executor, --workers, --address and --dashboard to a command."""
    command = click.option(
        "--dashboard", is_flag=True, help="Ray's dashboard for a Ray of our own, on loopback."
    )(command)
    command = click.option(
        "--address",
        default="",
        metavar="HOST:PORT",
        help="Ray cluster, or auto. Default: RAY_ADDRESS, else a Ray of our own.",
    )(command)
    return local_executor_options(command)


def local_executor_options(command: Command) -> Command:
    """Add --executor and --workers to a command."""
    command = click.option(
        "--workers", type=click.IntRange(1), default=len(os.sched_getaffinity(0)), show_default=True
    )(command)
    return click.option(
        "--executor",
        type=click.Choice(EXECUTORS),
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


def counted(number: int, noun: str) -> str:
    """`1 item`, `2,000 items`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
