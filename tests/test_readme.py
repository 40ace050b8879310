"""README and docs say what is true: commands and options exist, links lead somewhere."""

import re
import shlex
from pathlib import Path

import click
import pytest

from jobs.cli import cli
from jobs.options import find_preset
from schemas.config import load_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def commands_of(page: Path) -> list[list[str]]:
    """Words of every `blankstream ...` line in the code blocks of a page."""
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [
        shlex.split(line.split("  #")[0])[1:] for line in lines if line.startswith("blankstream ")
    ]


COMMANDS = [words for page in PAGES for words in commands_of(page)]


def test_the_readme_shows_the_whole_path() -> None:
    shown = {words[0] for words in commands_of(ROOT / "README.md")}
    assert {"build", "train", "fill", "inspect", "verify"} <= shown


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shown_parses(words: list[str]) -> None:
    command = cli.commands[words[0]]
    assert command.make_context(words[0], words[1:], resilient_parsing=False).params


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+?)\)", page.read_text(encoding="utf-8"))
    assert all((page.parent / link).exists() for link in links)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_in_code_quotes_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:pipeline|model|jobs|schemas|tests|benchmarks|docs)/[\w/.]+)`", text)
    assert all((ROOT / name).exists() for name in named), named


def test_every_configuration_key_named_exists() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    settings = re.findall(r"`((?:build|model|train)\.[a-z_.]+=[^`]+)`", text)
    assert settings
    assert load_config(find_preset("tiny"), settings)


def test_make_targets_named_in_the_docs_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    for page in PAGES:
        named = re.findall(r"`?make ([a-z-]+)", page.read_text(encoding="utf-8"))
        assert {name for name in named if name != "many"} <= set(targets), page


def test_every_command_has_a_help_text() -> None:
    for name, command in cli.commands.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name == "preset":
                assert parameter.help
