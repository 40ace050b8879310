"""Atomic writes: all of a file or none of it, and nothing left lying about."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.storage import (
    TEMPORARY_MARK,
    HeldFile,
    commit_text,
    committed,
    create_bytes,
    this_host,
)


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


def test_a_file_that_was_taken_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    taken: list[bytes] = []

    def late_lock(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX and len(taken) < 3:
            code = (
                "import sys, pathlib; from schemas.leftovers import remove_leftovers\n"
                "print(remove_leftovers(pathlib.Path(sys.argv[1])))"
            )
            command = [sys.executable, "-c", code, str(tmp_path)]
            taken.append(subprocess.run(command, capture_output=True, check=True).stdout)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late_lock)
    assert create_bytes(tmp_path / "x", b"content")
    commit_text(tmp_path / "y", "content")
    assert taken == [b"1\n"] * 3
    assert [(tmp_path / name).read_text() for name in "xy"] == ["content"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y"]


def test_what_was_committed_or_released_holds_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files = [HeldFile(tmp_path / "a", "x") for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before + 20
    for number, held in enumerate(files):
        if number % 2:
            held.commit(tmp_path / "b" / str(number))
        held.release()
        held.release()
    assert len(os.listdir("/proc/self/fd")) == before
    assert (len(os.listdir(tmp_path / "a")), len(os.listdir(tmp_path / "b"))) == (0, 10)


@pytest.mark.parametrize("host", ["node-7", "node_7.example org", "ü/" * 60])
def test_a_temporary_name_tells_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    with HeldFile(tmp_path, "s") as held:
        stem, numbers = held.path.name.split(TEMPORARY_MARK)
        assert stem == "s"
        assert numbers.rsplit("-", 2)[:2] == [this_host(), str(os.getpid())]
        assert len(this_host()) <= 64
