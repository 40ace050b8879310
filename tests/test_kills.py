"""`kill -9` of a build at any moment costs only what was unfinished."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import file_hashes

ROOT = Path(__file__).resolve().parents[1]
KILLS = 25 if os.environ.get("BLANKSTREAM_FULL") else 3
SETTINGS = [
    "build.item_bytes=4096",
    "build.window_tokens=64",
    "build.tokenizer.vocab_size=500",
    "build.heldout_ratio=0.2",
    "build.passes=3",
]


def start_build(corpus: Path, output: Path, executor: str) -> subprocess.Popen[bytes]:
    """A build in a process group of its own."""
    command = [sys.executable, "-W", "ignore", "-c", "from jobs.cli import main; main()", "build"]
    command += ["--input", str(corpus), "--output", str(output), "--executor", executor, *SETTINGS]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.fault
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_killed_build_goes_on_to_the_same_bytes(
    tmp_path: Path, corpus: Path, executor: str
) -> None:
    undisturbed = tmp_path / "undisturbed"
    started = time.monotonic()
    assert start_build(corpus, undisturbed, executor).wait(120) == 0
    seconds, random = time.monotonic() - started, np.random.default_rng(KILLS)
    output, killed = tmp_path / "killed", 0
    while killed < KILLS:
        build = start_build(corpus, output, executor)
        time.sleep(random.uniform(0.1, 1.0) * seconds)
        os.killpg(build.pid, signal.SIGKILL)
        if build.wait(30) == -signal.SIGKILL:
            killed += 1
        else:  # it had finished: only a build that was hit counts
            shutil.rmtree(output)
    assert start_build(corpus, output, executor).wait(120) == 0
    assert file_hashes(output) == file_hashes(undisturbed)
