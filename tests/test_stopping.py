"""A wait that somebody ends, ends soon; nobody else's does."""

import multiprocessing
import os
import threading
import time

import pytest

from pipeline.stores.retries import Retries
from pipeline.stores.stopping import NEVER, Stop, StoppedError
from schemas.errors import StorageError


def test_a_pause_is_as_long_as_asked_for_unless_it_is_ended() -> None:
    begun = time.monotonic()
    NEVER.pause(0.12, "x")
    assert 0.12 <= time.monotonic() - begun < 5
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(StoppedError, match=r"^s3://b/x: given up, since it is not to be waited"):
        stop.pause(60, "s3://b/x")
    assert time.monotonic() - begun < 10


def test_who_begins_to_wait_while_it_is_set_gives_up_until_it_is_cleared() -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(StorageError):
        stop.pause(0, "x")
    with pytest.raises(StorageError):
        stop.check("x")
    stop.clear()
    stop.pause(0, "x")
    stop.check("x")


def test_the_child_of_a_fork_waits_for_itself() -> None:
    stop = Stop()
    stop.set()
    child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(int(stop.is_set)))
    child.start()
    child.join(20)
    assert (child.exitcode, stop.is_set) == (0, True)


def test_tries_end_between_two_of_them() -> None:
    stop, tried = Stop(), []

    def fail() -> None:
        tried.append(time.monotonic())
        raise ConnectionError

    waiting = Retries(tries=9, seconds=600.0, first_wait_seconds=100.0, max_wait_seconds=200.0)
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(StoppedError, match="s3://b/x"):
        waiting.call("s3://b/x", "read", fail, stop)
    assert len(tried) == 1
    assert time.monotonic() - tried[0] < 5
