"""What killed writers left goes; what another may be writing stays."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.leftovers import FOREIGN_SECONDS, remove_leftovers
from schemas.storage import TEMPORARY_MARK, HeldFile, committed, this_host


def left_by(folder: Path, host: str, age_seconds: float = 0) -> Path:
    """A temporary file that nobody holds."""
    folder.mkdir(exist_ok=True)
    path = folder / f"draft{TEMPORARY_MARK}{host}-17-abcd"
    path.write_bytes(b"x")
    os.utime(path, (time.time() - age_seconds,) * 2)
    return path


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


def test_what_other_hosts_write_stays_for_a_day(tmp_path: Path) -> None:
    """Where locks end at the host, nothing else tells them from what is left."""
    ours = left_by(tmp_path / "a", this_host())
    old = left_by(tmp_path / "a", f"x{this_host()}", FOREIGN_SECONDS + 60)
    fresh = [
        left_by(tmp_path / "a", f"{this_host()}-2", FOREIGN_SECONDS - 60),
        left_by(tmp_path / "b", "node-7"),
    ]
    assert remove_leftovers(tmp_path) == 2
    assert not ours.exists()
    assert not old.exists()
    assert all(path.exists() for path in fresh)


def test_an_old_file_of_another_host_stays_while_its_lock_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HeldFile(tmp_path, "draft") as held:
        os.utime(held.path, (0, 0))
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        assert remove_leftovers(tmp_path) == 0
        assert held.path.exists()


def test_a_file_that_cannot_be_written_is_locked_for_reading(tmp_path: Path) -> None:
    left_by(tmp_path, this_host()).chmod(0o400)
    assert remove_leftovers(tmp_path) == 1


def test_folders_links_and_pipes_of_a_temporary_name_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / f"folder{TEMPORARY_MARK}{this_host()}-1-a").mkdir()
    (tmp_path / f"link{TEMPORARY_MARK}{this_host()}-1-a").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / f"pipe{TEMPORARY_MARK}{this_host()}-1-a")
    (tmp_path / "outside").symlink_to(tmp_path.parent, target_is_directory=True)
    assert remove_leftovers(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 4
    assert remove_leftovers(tmp_path / "missing") == 0


def test_no_finished_file_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        (tmp_path / str(number % 5)).mkdir(exist_ok=True)
        (tmp_path / str(number % 5) / f"{number}.json").touch()
    left_by(tmp_path / "3", this_host())
    opened: list[object] = []
    system_open = os.open

    def counted(path: str, flags: int) -> int:
        opened.append(path)
        return system_open(path, flags)

    monkeypatch.setattr(os, "open", counted)
    assert remove_leftovers(tmp_path) == len(opened) == 1
