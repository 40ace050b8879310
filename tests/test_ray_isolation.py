"""A build on a Ray of our own: servers on loopback only, files in two places only."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.process_tree import descendants

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, ::1 and ::ffff:127.0.0.1 as /proc/net/tcp writes them."""
_LISTENING = "0A"

pytestmark = [pytest.mark.ray, pytest.mark.fault]


def sockets_of(pids: list[int]) -> set[str]:
    """Inodes of the sockets that the processes hold."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    target = os.readlink(descriptor)
                    if target.startswith("socket:["):
                        found.add(target[8:-1])
    return found


def listening(pids: list[int]) -> set[tuple[str, int]]:
    """Address (as the kernel writes it) and port of every TCP server of the processes."""
    inodes, found = sockets_of(pids), set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.add((address, int(port, 16)))
    return found


@pytest.fixture
def places() -> Iterator[dict[str, Path]]:
    """Folders with short names: a home, one for temporary files, one to stand in."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as folder:
        found = {name: Path(folder) / name for name in ("home", "tmp", "cwd")}
        for place in found.values():
            place.mkdir()
        yield found


def test_a_build_on_ray_serves_loopback_only_and_writes_nowhere_else(
    tmp_path: Path, corpus: Path, places: dict[str, Path]
) -> None:
    settings = ["build.item_bytes=4096", "build.window_tokens=64", "build.row_tokens=160"]
    settings += ["build.tokenizer.vocab_size=500", "build.heldout_ratio=0.2", "build.passes=8"]
    command = [sys.executable, "-W", "ignore", "-m", "jobs", "build", "--input", str(corpus)]
    command += ["--output", str(tmp_path / "d"), "--executor", "ray", "--workers", "2"]
    command += ["--dashboard"]
    environment = os.environ | {
        "HOME": str(places["home"]),
        "TMPDIR": str(places["tmp"]),
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("RAY_AUTH_MODE", None)
    build = subprocess.Popen(
        [*command, *settings],
        cwd=places["cwd"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    servers: set[tuple[str, int]] = set()
    deadline = time.monotonic() + 120
    while build.poll() is None and time.monotonic() < deadline:
        servers |= listening(descendants(build.pid))
        time.sleep(0.1)
    output, _ = build.communicate(timeout=30)
    assert build.returncode == 0, output
    assert len(servers) > 3
    assert {address for address, _ in servers} <= LOOPBACK
    assert "Ray's dashboard: http://127.0.0.1:" in output
    for place in places.values():
        assert [path for path in place.rglob("*") if path.is_file()] == []
