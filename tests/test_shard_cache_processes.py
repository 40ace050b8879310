"""Processes that share a cache download nothing twice without need, and never each other's ruin."""

import os
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests.cache_processes import BRIEF, NUM_FILES, clean_process, filled_server, read_in_order
from tests.cached_files import (
    cache_of,
    held,
)
from tests.faults import WRONG, Faults
from tests.object_server import ObjectServer

pytestmark = [
    pytest.mark.fault,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
]
FULL = bool(os.environ.get("BLANKSTREAM_FULL"))


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with filled_server() as running:
        yield running


def run_all(processes: list[ForkServerProcess], seconds: float = 60.0) -> None:
    for process in processes:
        process.start()
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.1, until - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert codes == [0] * len(processes)


def downloads(server: ObjectServer) -> list[int]:
    return [server.gets[f"/bucket/d/shards/{number}.arrow"] for number in range(NUM_FILES)]


def test_eight_processes_at_once_download_each_file_once(
    server: ObjectServer, tmp_path: Path
) -> None:
    server.gets.clear()
    order = list(range(NUM_FILES))
    arguments = (tmp_path, 100, order, 4)
    run_all([clean_process(server, read_in_order, *arguments) for _ in range(8)])
    assert downloads(server) == [1] * NUM_FILES
    assert len(held(cache_of(tmp_path))) == NUM_FILES


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("seed", range(8 if FULL else 1))
def test_processes_in_one_order_share_a_cache_that_is_smaller_than_the_data(
    server: ObjectServer, tmp_path: Path, seed: int, count: int
) -> None:
    rates = dict.fromkeys(("error", "throttle", "reset", "short", "cut", WRONG), 0.03)
    server.gets.clear()
    order = [(number * 5 + seed) % NUM_FILES for number in range(NUM_FILES)] * 2
    with server.failing(Faults(rates, seed=seed)) as faults:
        arguments = (tmp_path, 6.5, order, 3)
        run_all([clean_process(server, read_in_order, *arguments) for _ in range(count)])
    again = sum(faults.injected.values())
    assert again
    # Two epochs, and once more for each process that fell behind the others.
    assert NUM_FILES <= sum(downloads(server)) <= (2 + count) * NUM_FILES + again
    assert len(held(cache_of(tmp_path))) <= 6


@pytest.mark.parametrize("limit", [2.5, 4.5])
def test_processes_with_orders_of_their_own_do_not_stop_each_other(
    server: ObjectServer, tmp_path: Path, limit: float
) -> None:
    server.gets.clear()
    orders = [list(range(NUM_FILES)), list(range(NUM_FILES))[::-1]]
    begun = time.monotonic()
    run_all([clean_process(server, read_in_order, tmp_path, limit, one, 2) for one in orders])
    seconds = time.monotonic() - begun
    # Every process has every file at most once in each time in which it is spared.
    assert sum(downloads(server)) <= 2 * NUM_FILES + 2 * limit * seconds / BRIEF.spared_seconds
    assert sum(downloads(server)) <= 12 * NUM_FILES
