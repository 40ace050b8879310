"""Options that several commands share: what they stand for, and what is refused."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jobs.cli import cli
from jobs.options import data_place, open_cache


def test_a_cache_is_opened_with_its_limit(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache", 12345)
    assert cache
    assert (cache.folder, cache.limit_bytes) == (tmp_path / "cache", 12345)
    default = open_cache(tmp_path / "cache", None)
    assert default
    assert default.limit_bytes == 100 * 10**9
    assert open_cache(None, None) is None


def test_a_limit_of_no_cache_is_refused() -> None:
    with pytest.raises(click.UsageError, match="add --cache FOLDER"):
        open_cache(None, 10**9)
    arguments = ["train", "--data", "d", "--output", "o", "--cache-bytes", "1000"]
    run = CliRunner().invoke(cli, arguments)
    assert run.exit_code == 2
    assert "--cache-bytes limits what --cache takes: add --cache FOLDER" in run.output


@pytest.mark.parametrize("text", ["s3://bucket/d", "file:///d", "https://host/d"])
def test_a_url_stays_as_it_is(text: str) -> None:
    assert data_place(text) == text


@pytest.mark.parametrize("text", ["d", "/d", "odd folder://d", "://d"])
def test_everything_else_is_a_path(text: str) -> None:
    assert data_place(text) == Path(text)
