"""Data sets behind URLs: the rows of a folder, through a cache, whatever the server does."""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from jobs.cli import cli
from pipeline.dataset import open_dataset
from pipeline.shard_cache.folder import CacheFolder
from pipeline.stream import Batch, RowStream
from schemas.errors import CorruptDataError, UserError
from tests.datasets import flip, write_dataset
from tests.faults import WRONG, Faults
from tests.format_datasets import write_dataset_as
from tests.object_server import ObjectServer, object_server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")

FORMATS = ("arrow", "arrow-lz4", "arrow-zstd", "tar")
ROWS: dict[str, Any] = {"rows": 300, "shards": 12, "batch_rows": 8}
LIMIT_BYTES = 60_000


def upload(server: ObjectServer, folder: Path, name: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            server.put(f"/bucket/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("/bucket")
        for shard_format in FORMATS:
            folder = tmp_path_factory.mktemp(shard_format) / "d"
            upload(running, write_dataset_as(folder, shard_format, **ROWS), shard_format)
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("local") / "d", **ROWS)


def batches_of(place: Path | str, **arguments: object) -> Iterator[Batch]:
    arguments = {"epochs": 1, "order": "windowed", "window_shards": 3} | arguments
    with RowStream(place, 16, **arguments) as stream:  # type: ignore[arg-type]
        yield from stream


def rows_of(place: Path | str, **arguments: object) -> np.ndarray:
    return np.concatenate([batch.rows for batch in batches_of(place, **arguments)])


@pytest.mark.parametrize("shard_format", FORMATS)
def test_every_format_gives_the_rows_of_a_folder(
    server: ObjectServer, tmp_path: Path, folder: Path, shard_format: str
) -> None:
    found = rows_of(f"s3://bucket/{shard_format}", cache=tmp_path / "cache")
    local = rows_of(folder)
    assert found.shape == local.shape
    assert np.array_equal(np.unique(found, axis=0), np.unique(local, axis=0))


def test_an_order_that_is_left_open_is_windowed(server: ObjectServer, tmp_path: Path) -> None:
    with RowStream("s3://bucket/arrow", cache=tmp_path / "cache") as stream:
        assert stream.state()["segments"][0]["order"].startswith("windowed/")


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["error", "throttle", "reset", "cut", "short", WRONG])
def test_failing_requests_cost_only_time(
    server: ObjectServer, tmp_path: Path, folder: Path, kind: str
) -> None:
    whole = rows_of("s3://bucket/arrow-zstd", cache=tmp_path / "first")
    with server.failing(Faults({kind: 0.15}, seed=5)) as faults:
        found = rows_of("s3://bucket/arrow-zstd", cache=tmp_path / "second")
    assert faults.injected[kind]
    assert np.array_equal(found, whole)


def read_share(cache: Path, rank: int, queue: "multiprocessing.Queue[bytes]") -> None:
    """The rows of a rank, who looks after every batch at what the shared cache takes."""
    arguments = {"rank": rank, "world_size": 2, "cache": cache, "cache_bytes": LIMIT_BYTES}
    shared = CacheFolder(cache, LIMIT_BYTES)
    rows = []
    for batch in batches_of("s3://bucket/arrow", **arguments):
        rows.append(batch.rows)
        with shared.locked_all() as contents:
            assert contents.bytes <= LIMIT_BYTES
    queue.put(np.concatenate(rows).tobytes())


@contextmanager
def ended(processes: list[SpawnProcess]) -> Iterator[None]:
    """Started here, and dead at the end."""
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            if process.pid:
                process.kill()


@pytest.mark.fault
def test_two_processes_share_a_cache_that_is_smaller_than_the_data(
    server: ObjectServer, tmp_path: Path
) -> None:
    whole = rows_of("s3://bucket/arrow", cache=tmp_path / "whole")
    used = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    assert used > LIMIT_BYTES
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue() for _ in range(2)]
    processes = [
        context.Process(target=read_share, args=(tmp_path / "cache", rank, queue), daemon=True)
        for rank, queue in enumerate(queues)
    ]
    # Of six requests in a row some are for content, which alone can be short.
    faults = Faults({"error": 0.05, "short": 0.05}, ["error", *["short"] * 6], seed=3)
    with server.failing(faults), ended(processes):
        shares = [
            np.frombuffer(queue.get(timeout=120), whole.dtype).reshape(-1, whole.shape[1])
            for queue in queues
        ]
        for process in processes:
            process.join(30)
        assert [process.exitcode for process in processes] == [0, 0]
    assert faults.injected.keys() == {"error", "short"}
    batches = [np.array_split(share, range(8, len(share), 8)) for share in shares]
    joined = [part for pair in zip(*batches, strict=True) for part in pair]
    assert np.array_equal(np.concatenate(joined), whole)


def test_a_cache_too_small_for_a_window_is_refused_with_all_numbers(
    server: ObjectServer, tmp_path: Path
) -> None:
    message = r"too small for windows of 3 shards.*\d+ bytes are needed at once, the limit.*9000"
    with pytest.raises(UserError, match=message):
        rows_of("s3://bucket/arrow", cache=tmp_path / "cache", cache_bytes=9000)


def test_the_cache_of_an_opened_data_set_may_be_too_small_as_well(
    server: ObjectServer, tmp_path: Path
) -> None:
    opened = open_dataset("s3://bucket/arrow", CacheFolder(tmp_path / "cache", 9000))
    with pytest.raises(UserError, match=r"too small for windows of 3 shards.*the limit.*9000"):
        RowStream(opened, 8, order="windowed", window_shards=3)


def test_damage_at_the_source_is_an_error_that_names_it(
    server: ObjectServer, tmp_path: Path, folder: Path
) -> None:
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    shard = sorted((damaged / "shards").rglob("*.arrow"))[4]
    flip(shard, shard.stat().st_size // 2)
    name = shard.relative_to(damaged).as_posix()
    upload(server, damaged, "damaged")
    with pytest.raises(CorruptDataError, match=rf"s3://bucket/damaged/{name}: .*in each of 4"):
        rows_of("s3://bucket/damaged", cache=tmp_path / "cache")


def test_a_run_is_trained_and_traced_on_a_url(
    server: ObjectServer, tmp_path: Path, built: Path
) -> None:
    upload(server, built, "built")
    cache, run = ["--cache", str(tmp_path / "cache")], str(tmp_path / "run")
    sizes = ["model.num_layers=1", "model.hidden_size=32", "model.num_attention_heads=2"]
    steps = ["train.max_steps=2", "train.batch_rows=4"]
    data = ["--data", "s3://bucket/built=1", "--output", run, *cache]
    trained = CliRunner().invoke(cli, ["train", "--preset", "tiny", *data, *steps, *sizes])
    assert trained.exit_code == 0, trained.output
    traced = CliRunner().invoke(cli, ["trace", run, "--step", "2", *cache])
    assert traced.exit_code == 0, traced.output
    assert "topics.jsonl" in traced.output


@contextmanager
def interrupted_when(is_so: Callable[[], bool]) -> Iterator[None]:
    """As by Ctrl-C, a moment after it is so; not at all behind the end."""
    over = threading.Event()

    def watch() -> None:
        while not is_so():
            if over.wait(0.02):
                return
        if not over.wait(0.3):
            os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["sleep", "error"])
def test_the_first_interrupt_ends_a_stream_that_waits_for_its_server(
    server: ObjectServer, tmp_path: Path, kind: str
) -> None:
    rows = {"order": "windowed", "window_shards": 3, "cache": tmp_path / "cache"}
    with server.failing(Faults({kind: 1.0}, sleep_seconds=30.0)) as faults:
        server.faults = None
        with RowStream("s3://bucket/arrow", 4, **rows) as stream:  # type: ignore[arg-type]
            server.faults = faults
            begun = time.monotonic()
            with (
                pytest.raises(KeyboardInterrupt),
                interrupted_when(lambda: faults.injected[kind] > 0),
            ):
                next(stream)
            assert time.monotonic() - begun < 5
        assert time.monotonic() - begun < 5
