"""Locks end with their holders, and hold between threads as between processes."""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from pipeline.shard_cache.locks import ProcessLock, is_held, locked_file, locked_folder
from tests.at_once import all_at_once

FORK = multiprocessing.get_context("fork")


def briefly() -> None:
    time.sleep(0.001)


def hold(path: Path, begun: Event) -> None:
    with locked_file(path, briefly):
        begun.set()
        signal.pause()


def test_a_lock_keeps_others_out_and_ends_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with locked_file(path, briefly) as first, locked_file(path, None) as second:
        assert (first, second, is_held(path)) == (True, False, True)
    with locked_file(path, None) as third:
        assert third
    assert not is_held(path)
    assert not is_held(tmp_path / "absent")


def test_no_folder_is_made_for_a_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked_file(tmp_path / "ab" / "x", briefly):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_ends_when_its_process_is_killed(tmp_path: Path) -> None:
    begun = FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / "x", begun))
    process.start()
    assert begun.wait(20)
    assert is_held(tmp_path / "x")
    process.kill()
    with locked_file(tmp_path / "x", briefly) as is_locked:
        assert is_locked
    process.join()


def test_a_child_forked_while_a_lock_was_held_does_not_hold_it(tmp_path: Path) -> None:
    with locked_file(tmp_path / "x", briefly):
        process = FORK.Process(target=signal.pause)
        process.start()
    try:
        assert not is_held(tmp_path / "x")
    finally:
        process.kill()
        process.join()


def test_a_lock_whose_file_was_deleted_is_not_held_by_two(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "x", [0], [0]

    def work() -> None:
        for _ in range(50):
            with locked_file(path, briefly):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                os.sched_yield()
                inside[0] -= 1
                path.unlink()  # with its file goes the lock

    all_at_once([work] * 6)
    assert most == [1]


def test_threads_take_turns_at_a_folder(tmp_path: Path) -> None:
    count = [0]

    def work() -> None:
        for _ in range(50):
            with locked_folder(tmp_path, briefly):
                before = count[0]
                os.sched_yield()
                count[0] = before + 1

    all_at_once([work] * 6)
    assert count == [300]
    with pytest.raises(FileNotFoundError), locked_folder(tmp_path / "absent", briefly):
        pass


def test_a_forked_child_finds_a_lock_of_threads_free() -> None:
    lock = ProcessLock()

    def take() -> None:
        with lock:
            pass

    with lock:
        waiting = threading.Thread(target=take)
        waiting.start()
        child = FORK.Process(target=take)
        child.start()
        child.join(20)
        assert (child.exitcode, waiting.is_alive()) == (0, True)
    waiting.join()
