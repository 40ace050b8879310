"""Two workers against one, the driver against its workers, Ray against processes: in full swing.

Splitter and tokenizer are given, and what a build does before its workers are warm and after they
run out of items is left out: everything is measured between the moment each worker has built two
items and the one when fewer items are left than workers. Runs are interleaved, each in a process
of its own; medians. Prints one JSON line.

    python -m benchmarks.steady_state [--rounds 5] [--executors processes ray] [--quick]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.corpus import write_jsonl
from benchmarks.full_swing import Moment, Swing
from jobs.build import BuildRequest, build_dataset
from jobs.options import find_preset
from schemas.build_config import BuildConfig
from schemas.config import load_config
from schemas.names import SPLITTER_NAME, TOKENIZER_FOLDER
from tests.corpus import NoProgress

WORKERS = (1, 2)
MEGABYTES, ITEM_BYTES = 95.0, 2_000_000
QUICK_MEGABYTES, QUICK_ITEM_BYTES = 2.0, 100_000


def prepare(folder: Path, megabytes: float) -> None:
    """Text, and a data set whose splitter and tokenizer are those of every run."""
    write_jsonl(folder / "text.jsonl", megabytes)
    write_jsonl(folder / "small.jsonl", min(megabytes, 4.0))
    settings = ["build.tokenizer.vocab_size=30000", "build.tokenizer.sample_characters=2000000"]
    config = load_config(find_preset("glm-base"), settings).build
    request = BuildRequest(config, [folder / "small.jsonl"], folder / "tools", "serial", 1)
    build_dataset(request, NoProgress())


def given(folder: Path, item_bytes: int) -> BuildConfig:
    """The configuration of every run."""
    config = load_config(find_preset("glm-base")).build
    tokenizer = replace(config.tokenizer, path=str(folder / "tools" / TOKENIZER_FOLDER))
    splitter = str(folder / "tools" / SPLITTER_NAME)
    return replace(config, tokenizer=tokenizer, splitter=splitter, item_bytes=item_bytes)


def run_one(folder: Path, item_bytes: int, executor: str, workers: int) -> Moment:
    """One build, in this process and those it starts."""
    swing, output = Swing(workers), folder / "output"
    text = folder / "text.jsonl"
    request = BuildRequest(given(folder, item_bytes), [text], output, executor, workers)
    try:
        build_dataset(request, swing)
    finally:
        shutil.rmtree(output, ignore_errors=True)
    return swing.measured()


def run_apart(folder: Path, item_bytes: int, executor: str, workers: int) -> Moment:
    """The same in a fresh process, whose home is a folder of its own."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    arguments = ["--one", str(folder), str(item_bytes), executor, str(workers)]
    command = [sys.executable, "-m", "benchmarks.steady_state", *arguments]
    environment = os.environ | {"HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Moment(**json.loads(done.stdout.splitlines()[-1]))


def summary(executors: Iterable[str], runs: dict[tuple[str, int], list[Moment]]) -> dict[str, Any]:
    """Medians over the rounds."""
    line: dict[str, Any] = {"benchmark": "steady_state"}
    for name in executors:
        one, two = (runs[name, workers] for workers in WORKERS)
        pairs = list(zip(one, two, strict=True))
        driver = [run.driver_cpu_seconds / run.task_seconds for run in two]
        line[name] = {
            "rows_per_second": [round(median(map(speed, found))) for found in (one, two)],
            "two_over_one": round(median(speed(b) / speed(a) for a, b in pairs), 3),
            "driver_cpu_over_task_seconds": round(median(driver), 4),
            "cpu_seconds_per_thousand_rows": [
                round(median(map(cost, found)), 3) for found in (one, two)
            ],
        }
    if {"processes", "ray"} <= set(executors):
        pairs = list(zip(runs["processes", 2], runs["ray", 2], strict=True))
        line["cpu_ray_over_processes"] = round(median(cost(b) / cost(a) for a, b in pairs), 3)
    return line


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def speed(run: Moment) -> float:
    """Rows per second."""
    return run.rows / run.seconds


def cost(run: Moment) -> float:
    """CPU seconds per thousand rows."""
    return 1000 * run.cpu_seconds / run.rows


def measure(rounds: int, executors: list[str], quick: bool) -> dict[str, Any]:
    """Every executor with one and with two workers, in turn, `rounds` times."""
    megabytes = QUICK_MEGABYTES if quick else MEGABYTES
    item_bytes = QUICK_ITEM_BYTES if quick else ITEM_BYTES
    runs: dict[tuple[str, int], list[Moment]] = {}
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        prepare(Path(name), megabytes)
        for _ in range(rounds):
            for executor in executors:
                for workers in WORKERS:
                    run = run_apart(Path(name), item_bytes, executor, workers)
                    runs.setdefault((executor, workers), []).append(run)
    return summary(executors, runs) | {"rounds": rounds, "megabytes": megabytes}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="See the module's docstring.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--executors", nargs="+", default=["processes", "ray"])
    parser.add_argument("--quick", action="store_true", help="little text: for tests")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.one:
        folder, item_bytes, executor, workers = asked.one
        found = run_one(Path(folder), int(item_bytes), executor, int(workers))
        print(json.dumps(asdict(found)))
        return
    print(json.dumps(measure(asked.rounds, asked.executors, asked.quick)))


if __name__ == "__main__":
    main()
