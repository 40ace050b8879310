"""A Ray cluster that somebody else runs: a lost node costs time only, and README's commands work."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.build_state import BuildState
from jobs.drive import drive
from jobs.executors.choice import open_executor
from jobs.executors.executor import ExecutorOptions
from jobs.executors.ray_session import import_ray, own_environment
from jobs.isolation import Limits
from tests.fake_work import FakeContext, fake_work, items, lines

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
SECONDS = 60.0

pytestmark = [pytest.mark.ray, pytest.mark.fault]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for the names of sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def cluster(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """One node of one CPU on this machine."""
    (short_folder / "ray").mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(short_folder))
    import_ray(own_environment())
    from ray.cluster_utils import Cluster

    started = Cluster()
    try:
        started.add_node(num_cpus=1, include_dashboard=False)
        yield started
    finally:
        started.shutdown()


def test_a_lost_node_costs_only_time(cluster: Any, tmp_path: Path) -> None:
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    context, state = replace(FakeContext(tmp_path), seconds=0.1), BuildState()
    workers: list[int] = []

    def lose_the_node() -> None:
        if state.done >= 10 and len(cluster.list_all_nodes()) == 2:
            cluster.remove_node(second, allow_graceful=False)

    with open_executor(ExecutorOptions("ray", 1, cluster.address)) as executor:
        workers.append(executor.workers)
        drive(executor, items(40), fake_work(context), state, lose_the_node, Limits())
    assert (workers, state.done, state.excluded) == ([2], 40, 0)
    assert len(cluster.list_all_nodes()) == 1
    assert set(lines(context, "committed")) == set(range(40))
    with open_executor(ExecutorOptions("ray", 1, cluster.address)) as executor:
        assert executor.workers >= 1  # the cluster goes on without us
