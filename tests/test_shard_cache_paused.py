"""A process that is paused while it holds a lock is waited for, then named; nobody hangs."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.shard_cache.eviction import CacheRules
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_cache.waiting import holder_of
from pipeline.stores.local import LocalStore
from pipeline.stores.stopping import NEVER, Stop
from schemas.errors import StorageError
from tests.cache_processes import FORK
from tests.cached_files import (
    QUICK,
    SIZE,
    cache_of,
    content,
    content_of,
    held,
    stored_file,
    write_remote,
)

pytestmark = pytest.mark.fault
BRIEF = CacheRules(
    spared_seconds=0.05, patience_seconds=0.2, longest_seconds=1.0, poll_seconds=0.02
)


@dataclass(frozen=True)
class Turns:
    """When a process has begun, and when it may go on."""

    begun: Event
    go_on: Event

    def pause(self) -> None:
        """Of the process."""
        self.begun.set()
        assert self.go_on.wait(60)


class Trickle(LocalStore):
    """A store whose files come in fifty pieces, the second one when it is told to go on, and each
    further one after a pause."""

    seconds = 0.05

    def __init__(self, folder: Path, turns: Turns) -> None:
        super().__init__(folder)
        self.turns = turns

    def pieces(self, name: str, stop: Stop = NEVER) -> Iterator[bytes]:
        content = self.read(name)
        for start in range(0, SIZE, SIZE // 50):
            yield content[start : start + SIZE // 50]
            self.turns.pause()
            time.sleep(self.seconds)


def brief_cache(folder: Path, limit_files: float = 10) -> CacheFolder:
    return cache_of(folder, limit_files, BRIEF)


def place(folder: Path, limit_files: float = 10) -> CachedPlace:
    store = write_remote(folder / "remote", 3)
    return CachedPlace(store, brief_cache(folder, limit_files), QUICK)


def hold_all(folder: Path, turns: Turns) -> None:
    with brief_cache(folder).locked_all():
        turns.pause()


def download(folder: Path, turns: Turns, limit_files: float = 10) -> None:
    store = Trickle(folder / "remote", turns)
    CachedPlace(store, brief_cache(folder, limit_files), QUICK).path(stored_file(0))


class Working(NamedTuple):
    """A process, and what tells it to go on."""

    pid: int
    go_on: Event


@contextmanager
def running(work: Callable[..., None], folder: Path, *more: float) -> Iterator[Working]:
    """A process that is in the middle of `work`, and goes on at the end at the latest."""
    turns = Turns(FORK.Event(), FORK.Event())
    process = FORK.Process(target=work, args=(folder, turns, *more))
    process.start()
    try:
        assert turns.begun.wait(20)
        assert process.pid
        yield Working(process.pid, turns.go_on)
        turns.go_on.set()
        process.join(20)
        assert process.exitcode == 0
    finally:
        process.kill()


@contextmanager
def paused(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def named(pid: int) -> str:
    """Where the system does not tell devices of files (btrfs), nobody knows who it is."""
    return rf"(process {pid} \(stopped\)|another process)"


def message(pid: int, path: str) -> str:
    return rf"{path}: locked by {named(pid)}, which did nothing for 1 s; let it go on"


def test_one_that_is_paused_with_the_whole_cache_is_named_and_goes_on(tmp_path: Path) -> None:
    here = place(tmp_path)
    with running(hold_all, tmp_path) as (pid, _), paused(pid):
        for act in (lambda: here.path(stored_file(0)), lambda: brief_cache(tmp_path)):
            begun = time.monotonic()
            with pytest.raises(StorageError, match=message(pid, "cache")):
                act()
            assert 0.9 < time.monotonic() - begun < 5
    assert content(here, 0) == content_of(0)


def test_one_that_is_paused_in_a_download_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    here = place(tmp_path)
    with running(download, tmp_path) as (pid, _), paused(pid):
        with pytest.raises(StorageError, match=message(pid, stored_file(0).hashes.sha256)):
            here.path(stored_file(0))
        assert content(here, 1) == content_of(1)
    assert content(here, 0) == content_of(0)


def test_the_room_that_a_paused_one_has_taken_is_said_to_be_its(tmp_path: Path) -> None:
    here = place(tmp_path, 1)
    with running(download, tmp_path, 1) as (pid, _), paused(pid):
        begun = time.monotonic()
        match = rf"no room for a file after [1-5] s: .*; {named(pid)} still fetching; free"
        with pytest.raises(StorageError, match=match):
            here.path(stored_file(1))
        assert time.monotonic() - begun < 5
    assert held(brief_cache(tmp_path)) == {stored_file(0).hashes.sha256}


def test_a_download_that_is_slow_is_waited_for_as_long_as_it_goes_on(tmp_path: Path) -> None:
    here = place(tmp_path)
    with running(download, tmp_path) as process:
        (tmp_path / "remote").rename(tmp_path / "away")
        begun = time.monotonic()
        process.go_on.set()
        assert content(here, 0) == content_of(0)
        assert time.monotonic() - begun > 2 * BRIEF.longest_seconds


def test_a_lock_of_nobody_or_of_this_process_is_said_to_be_so(tmp_path: Path) -> None:
    cache, sha256 = brief_cache(tmp_path), stored_file(0).hashes.sha256
    assert holder_of(tmp_path / "absent") == holder_of(cache.folder) == "another process"
    with (
        cache.locked(sha256),
        pytest.raises(
            StorageError, match=r"locked by another (thread of this )?process, which did"
        ),
        cache.locked(sha256),
    ):
        pass
