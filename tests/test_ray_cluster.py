"""A Ray cluster of somebody else: a lost node costs time only, and README's commands work."""

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

from jobs.build import BuildRequest, build_dataset
from jobs.drive import drive
from jobs.executors.choice import open_executor
from jobs.executors.executor import ExecutorOptions
from jobs.executors.ray_session import import_ray, own_environment
from jobs.isolation import Limits
from jobs.progress.build_state import BuildState
from tests.corpus import NoProgress, file_hashes, small_config
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
        drive(executor, items(40), fake_work(context), state, lose_the_node, Limits(max_retries=0))
    assert (workers, state.done, state.excluded) == ([2], 40, 0)
    assert len(cluster.list_all_nodes()) == 1
    assert set(lines(context, "committed")) == set(range(40))
    with open_executor(ExecutorOptions("ray", 1, cluster.address)) as executor:
        assert executor.workers >= 1  # the cluster goes on without us


def test_a_build_on_a_cluster_that_loses_a_node_has_the_bytes_of_one_here(
    cluster: Any, tmp_path: Path, corpus: Path
) -> None:
    config = small_config(item_bytes=4096, passes=6)
    here, there = tmp_path / "here", tmp_path / "there"
    build_dataset(BuildRequest(config, [corpus], here, "serial", 1), NoProgress())
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    class LosesTheNode(NoProgress):
        def changed(self) -> None:
            if self.state.done >= 10 and len(cluster.list_all_nodes()) == 2:
                cluster.remove_node(second, allow_graceful=False)

    watcher = LosesTheNode()
    request = BuildRequest(config, [corpus], there, "ray", 1, cluster.address)
    build_dataset(request, watcher)
    assert len(cluster.list_all_nodes()) == 1
    assert watcher.state.excluded == 0
    assert file_hashes(there) == file_hashes(here)


def readme_commands() -> list[list[str]]:
    """Words of the commands in README's section about clusters."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## On a Ray cluster\n(.*?)(?=^## )", text, re.M | re.S)
    assert section, "README has no section 'On a Ray cluster'"
    block = re.search(r"^```\n(.*?)^```", section[1], re.M | re.S)
    assert block
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


def free_ports(number: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def filled_in(words: list[str], values: dict[str, str]) -> list[str]:
    """The words with what a reader is to fill in."""
    pattern = re.compile("|".join(map(re.escape, values)))
    return [pattern.sub(lambda found: values[found[0]], word) for word in words]


@pytest.fixture
def head(short_folder: Path) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """README's first machine, out of reach of others; its environment and what to fill in."""
    exports, start = readme_commands()[:2]
    ports = dict(zip(("6379", "8265", "client", "jobs"), map(str, free_ports(4)), strict=True))
    values = {"6379": ports["6379"], "8265": ports["8265"], "SECRET": "s" * 32}
    environment = os.environ | dict(word.split("=") for word in filled_in(exports[1:], values))
    environment |= {
        "HOME": str(short_folder),
        "TMPDIR": str(short_folder),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # servers on loopback only
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    environment.pop("RAY_ADDRESS", None)
    here = ["--block", "--num-cpus=2", f"--temp-dir={short_folder}"]
    here += [f"--dashboard-port={ports['8265']}", f"--ray-client-server-port={ports['client']}"]
    here += [f"--dashboard-agent-listen-port={ports['jobs']}"]  # else that of any Ray beside it
    process = subprocess.Popen(
        [*filled_in(start, values), *here],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: process.poll() is not None or listens(int(ports["8265"])))
        yield environment, values
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_commands_of_the_readme_build_on_a_cluster(
    head: tuple[dict[str, str], dict[str, str]], corpus: Path, tmp_path: Path
) -> None:
    environment, values = head
    output = tmp_path / "dataset"
    values = values | {"TEXT": str(corpus), "DATASET": str(output)}
    small = ["build.item_bytes=8192", "build.tokenizer.vocab_size=500", "build.window_tokens=64"]
    job = subprocess.run(
        [*filled_in(readme_commands()[3], values), *small],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS * 2,
    )
    assert job.returncode == 0, job.stdout + job.stderr
    assert "succeeded" in job.stdout + job.stderr
    here = [BIN / "blankstream", "build", "--preset", "tiny", "--input", corpus, *small]
    here += ["--output", tmp_path / "here", "--executor", "serial"]
    assert subprocess.run(here, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert file_hashes(output) == file_hashes(tmp_path / "here")
    assert listens(int(values["6379"]))  # the cluster goes on without us


def test_the_command_of_the_readme_for_other_machines_parses() -> None:
    from ray.scripts.scripts import start

    words = readme_commands()[2]
    assert words[:2] == ["ray", "start"]
    assert start.make_context("start", words[2:]).params["address"] == "HEAD:6379"
