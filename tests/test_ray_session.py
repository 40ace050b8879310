"""Ray: ours is private to this machine and leaves nothing behind; a cluster that is not there is
one clear message, soon."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.executors import ray_session
from jobs.executors.choice import open_executor
from jobs.executors.executor import ExecutorOptions
from schemas.errors import UserError

ROOT = Path(__file__).resolve().parents[1]

OWN_RAY = """
import json, os, sys, tempfile
from pathlib import Path
from jobs.executors import ray_session
from jobs.executors.choice import open_executor
from jobs.executors.executor import ExecutorOptions
from tests.fake_tasks import pid
from tests.test_ray_session import listening
options = ExecutorOptions("ray", 2, dashboard=True)
with open_executor(options) as executor:
    executor.submit(0, pid)
    found = executor.wait(60)[0]
    hosts = sorted(listening())
left = os.listdir(tempfile.gettempdir())
known = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
print(json.dumps([found.worker.split()[0], hosts, left, options.notes, known]))
"""


def listening() -> set[str]:
    """Addresses on which a child of this process, at any depth, or itself accepts connections."""
    import psutil
    from ray._private import utils  # noqa: F401  puts Ray's own psutil on the path

    me = psutil.Process()
    connections = [
        connection
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections("inet")
    ]
    return {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}


@pytest.mark.ray
def test_a_ray_of_our_own_stays_on_this_machine_and_leaves_nothing(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("RAY_")
        } | {"HOME": str(tmp_path), "TMPDIR": temporary, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", OWN_RAY],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=ROOT,
            timeout=120,
        )
    assert done.stdout, done.stderr
    node, hosts, left, notes, known = json.loads(done.stdout)
    assert node == "127.0.0.1"
    assert set(hosts) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert (list(tmp_path.iterdir()), left) == ([], [])
    assert known["RAY_AUTH_MODE"] == "token"
    assert len(notes) == 1
    assert "http://127.0.0.1:" in notes[0]
    assert known["RAY_AUTH_TOKEN"] in notes[0]


@pytest.fixture
def deaf_server() -> Iterator[str]:
    """Address of a server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def connect(address: str) -> None:
    with open_executor(ExecutorOptions("ray", 1, address)):
        pass


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"127.0.0.1:{closed_port()}", r"no Ray cluster answers at '127\.0\.0\.1:\d+' \(.*refused"),
        ("no-such-host.invalid:6379", r"no Ray cluster answers at 'no-such-host\.invalid:6379'"),
        ("http://127.0.0.1:8265", r"no address of a Ray cluster's own port.*ray job submit"),
        ("ray://127.0.0.1:10001", r"no address of a Ray cluster's own port"),
        ("10.0.0.1", r"'10\.0\.0\.1': the address of a Ray cluster is host:port, or auto"),
    ],
    ids=["nobody listens", "no such host", "a job server", "a client server", "no port"],
)
def test_a_cluster_that_is_not_there_is_a_clear_error(address: str, message: str) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match=message):
        connect(address)
    assert time.monotonic() - started < 15


LATE_RAY = """
import socket
from jobs.executors.choice import open_executor
from jobs.executors.executor import ExecutorOptions
from schemas.errors import UserError
from tests.fake_tasks import pid
with socket.create_server(("127.0.0.1", 0)) as server:
    address = "127.0.0.1:" + str(server.getsockname()[1])
try:
    with open_executor(ExecutorOptions("ray", 1, address)):
        pass
except UserError:
    with open_executor(ExecutorOptions("ray", 1)) as executor:
        executor.submit(0, pid)
        print(len(executor.wait(60)))
"""


@pytest.mark.ray
def test_who_found_no_cluster_can_start_a_ray_of_its_own(tmp_path: Path) -> None:
    environment = {name: one for name, one in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LATE_RAY],
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert done.stdout == "1\n", done.stderr


@pytest.mark.ray
def test_a_server_that_is_not_ray_is_a_clear_error(
    deaf_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_session, "_ANSWER_SECONDS", 3.0)
    with pytest.raises(UserError, match="nothing within 3 s"):
        connect(deaf_server)


def test_the_address_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "no-such-host.invalid:1")
    with (
        pytest.raises(UserError, match=r"no-such-host\.invalid"),
        open_executor(ExecutorOptions("ray", 1)),
    ):
        pass
