"""Atomic writes: all of a file or none of it, and nothing left lying about."""

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.storage import TEMPORARY_MARK, commit_text, committed, remove_leftovers


def test_a_file_appears_whole_in_a_folder_made_for_it(tmp_path: Path) -> None:
    commit_text(tmp_path / "a" / "b.txt", "content")
    assert (tmp_path / "a" / "b.txt").read_text() == "content"
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    commit_text(path, "old")
    with pytest.raises(FileNotFoundError), committed(path) as temporary:
        temporary.with_name("missing").read_text()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_killed_writers_go_and_files_being_written_stay(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from schemas.storage import committed\n"
        "with committed(pathlib.Path(sys.argv[1])) as t: t.write_text('x'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "dead")], check=False)
    with committed(tmp_path / "alive") as temporary:
        temporary.write_text("ours")
        assert len(list(tmp_path.glob(f"dead{TEMPORARY_MARK}*"))) == 1
        assert remove_leftovers(tmp_path) == 1
        assert temporary.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["alive"]
