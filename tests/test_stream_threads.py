"""The thread of a stream: damage in its place, repairs, forks, and no thread left behind."""

import contextlib
import gc
import itertools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pipeline.dataset import open_dataset, parse_dataset
from pipeline.shard_reading.shard_places import LocalPlace
from pipeline.stores.local import LocalStore
from pipeline.stream import RowStream
from schemas.errors import CorruptDataError, StorageError, UserError
from tests.cached_files import wait_until
from tests.datasets import TABLE, Content, flip, random_rows, write_dataset
from tests.streams import read, visits, write_contents


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_contents(tmp_path_factory.mktemp("streams"))


@pytest.fixture
def path(tmp_path):
    return write_dataset(tmp_path / "dataset")


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name == "blankstream-prefetch"]


def wait_for_no_thread():
    for _ in range(200):
        if not prefetch_threads():
            return
        time.sleep(0.01)
    pytest.fail("the prefetch thread goes on")


@pytest.mark.fault
def test_a_damaged_shard_is_raised_at_the_first_batch_that_needs_it(path):
    shard = path / "shards/train/00001.arrow"
    rows = random_rows(Content()).rows
    flip(shard, shard.read_bytes().index(rows[20].tobytes()))
    numbers = [batch.row_numbers for batch in read(write_dataset(path.parent / "good"), epochs=1)]
    order = np.concatenate(numbers).tolist()
    damaged_batch = range(18, 23)
    good = next(place for place, row in enumerate(order) if row in damaged_batch)
    for start in range(good + 1):
        with RowStream(path, batch_rows=1, consumed_rows=start) as stream:
            seen = [next(stream).row_numbers.tolist() for _ in range(start, good)]
            with pytest.raises(CorruptDataError, match=r"train/00001\.arrow: record batch"):
                next(stream)
            assert seen == [[row] for row in order[start:good]]
            assert stream.state()["consumed_rows"] == good


@pytest.mark.fault
@pytest.mark.parametrize("batch_rows", [1, 4])
def test_a_damaged_block_of_the_table_is_raised_at_the_first_batch_that_needs_it(
    tmp_path, monkeypatch, batch_rows
):
    """Eight blocks of two shards, of five rows each; each block is a group of its own."""
    monkeypatch.setattr("pipeline.table.BLOCK_SHARDS", 2)
    monkeypatch.setattr("pipeline.orders.window_order.GROUP_BLOCKS", 1)
    folder = write_dataset(tmp_path / "data", rows=80, shards=16)
    arguments = {"order": "windowed", "window_shards": 1, "batch_rows": batch_rows}
    batches = visits(read(folder, epochs=1, **arguments))
    offsets = open_dataset(folder).manifest.table.hashes.offsets
    for block in range(8):
        flip(folder / TABLE, (offsets[block + 1] + offsets[block + 2]) // 2)
        needed = next(n for n, (_, row) in enumerate(batches) if row // 10 == block)
        good = needed - needed % batch_rows
        with RowStream(folder, **arguments) as stream:
            seen = [next(stream) for _ in range(good // batch_rows)]
            with pytest.raises(CorruptDataError, match=f"{TABLE}: record batch {block}"):
                next(stream)
        assert visits(seen) == batches[:good]
        flip(folder / TABLE, (offsets[block + 1] + offsets[block + 2]) // 2)


@pytest.mark.fault
def test_a_stream_goes_on_after_a_repair(path):
    shard = path / "shards/train/00000.arrow"
    place = shard.read_bytes().index(random_rows(Content()).rows[2].tobytes())
    batches = []
    with RowStream(path, batch_rows=10) as stream:
        batches.append(next(stream))
        flip(shard, place)
        with pytest.raises(CorruptDataError, match=r"00000\.arrow: record batch 0"):
            batches.extend(stream)
        flip(shard, place)
        batches += itertools.islice(stream, 4)
    assert visits(batches) == visits(read(path, len(batches), batch_rows=10))


def test_closing_ends_the_thread_and_keeps_the_state(paths):
    with RowStream(paths[0], batch_rows=3) as stream:
        next(stream)
        assert len(prefetch_threads()) == 1
    assert prefetch_threads() == []
    assert stream.state()["consumed_rows"] == 3
    stream.close()
    with pytest.raises(UserError, match=r"closed; make a new one with state=stream\.state\(\)"):
        next(stream)


def test_a_stream_that_is_dropped_ends_its_thread(paths):
    stream = RowStream(paths[0], batch_rows=3)
    next(stream)
    assert len(prefetch_threads()) == 1
    del stream
    gc.collect()
    wait_for_no_thread()


def test_a_stream_that_ends_or_fails_ends_its_thread(paths, path):
    ended = RowStream(paths[0], epochs=1)
    list(ended)
    failed = RowStream(path)
    (path / "shards/train/00000.arrow").unlink()
    with pytest.raises(CorruptDataError):
        next(failed)
    assert prefetch_threads() == []


def test_a_stream_works_a_bounded_number_of_gathers_ahead(paths, monkeypatch):
    stream = RowStream(paths[0], batch_rows=64)
    gathers = []
    gather = stream._reading.source._batches
    monkeypatch.setattr(
        stream._reading.source, "_batches", lambda plan: (gathers.append(plan), gather(plan))[1]
    )
    next(stream)
    time.sleep(0.1)
    assert len(gathers) <= 3
    stream.close()


class WaitingPlace(LocalPlace):
    """A folder whose shards come when they are let, or when the wait is interrupted."""

    def __init__(self, folder):
        super().__init__(folder)
        self.told = threading.Condition()
        self.waits = self.is_interrupted = self.lets = False

    def path(self, stored):
        with self.told:
            self.waits = not self.lets and stored.path.startswith("shards/")
            self.told.wait_for(lambda: self.is_interrupted or not self.waits or self.lets)
            if self.is_interrupted and self.waits:
                raise StorageError(f"{stored.path}: interrupted")
        return super().path(stored)

    def interrupt(self):
        with self.told:
            self.is_interrupted = True
            self.told.notify_all()

    def proceed(self):
        with self.told:
            self.is_interrupted = False


def waiting_stream(path, **arguments):
    """A stream whose thread waits for its first shard."""
    place = WaitingPlace(path)
    content = (path / "manifest.json").read_bytes()
    stream = RowStream(parse_dataset(LocalStore(path), place, content), **arguments)
    consumer = threading.Thread(target=lambda: suppressed(stream), daemon=True)
    consumer.start()
    wait_until(lambda: place.waits)
    return stream, place, consumer


def suppressed(stream):
    with contextlib.suppress(StorageError):
        next(stream)


@pytest.mark.fault
@pytest.mark.parametrize("stop", ["close", "load_state_dict"])
def test_a_stream_that_waits_for_a_file_stops_at_once(path, stop):
    stream, place, consumer = waiting_stream(path, batch_rows=10)
    start = time.monotonic()
    stream.close() if stop == "close" else stream.load_state_dict(stream.state())
    assert time.monotonic() - start < 5
    consumer.join(5)
    assert not consumer.is_alive()
    assert not place.is_interrupted
    assert prefetch_threads() == []


@pytest.mark.fault
def test_a_stream_that_was_interrupted_goes_on(path):
    expected = visits(read(path, 4, batch_rows=10))
    stream, place, consumer = waiting_stream(path, batch_rows=10)
    stream.load_state_dict(stream.state())
    consumer.join(5)
    place.lets = True
    with stream:
        assert visits([next(stream) for _ in range(4)]) == expected


def test_a_forked_stream_continues_in_the_child(paths):
    code = (
        "import os, sys; from pipeline.stream import RowStream\n"
        "stream = RowStream(sys.argv[1], batch_rows=20_000)\n"
        "numbers = [next(stream).row_numbers.tolist() for _ in range(2)]\n"
        "child = os.fork()\n"
        "rows = [next(stream).row_numbers.tolist() for _ in range(4)]\n"
        "os.write(1, f'{hash(str(rows))}\\n'.encode())\n"
        "os._exit(0) if not child else os.waitpid(child, 0)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(paths[0])],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    first, second = run.stdout.split()
    assert first == second


def test_batches_already_read_survive_the_stream(paths):
    batches = read(paths[0], 20, batch_rows=9)
    expected = random_rows(Content()).rows
    gc.collect()
    for batch in batches:
        assert np.array_equal(batch.rows, expected[batch.row_numbers])


LEFT_OPEN = """
import itertools, sys
from pipeline.stream import RowStream
def batches():
    with RowStream(sys.argv[1], batch_rows=20_000) as stream:
        yield from stream
given = batches()
taken = list(itertools.islice(given, int(sys.argv[2])))
print(len(taken))
"""


@pytest.mark.parametrize("count", [1, 5])
def test_a_program_ends_that_leaves_a_generator_around_a_stream(paths, count):
    """It is finalized when daemon threads are gone, and closes the stream then."""
    command = [sys.executable, "-c", LEFT_OPEN, str(paths[0]), str(count)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (run.stdout, run.stderr) == (f"{count}\n", "")


LEFT_WAITING = """
import sys, threading, time
from pathlib import Path
from tests.test_stream_threads import waiting_stream
stream, place, consumer = waiting_stream(Path(sys.argv[1]), batch_rows=10)
def held():
    with stream:
        yield
given = held()
next(given)
"""


@pytest.mark.fault
def test_a_program_ends_whose_stream_waits_for_a_file(path):
    command = [sys.executable, "-c", LEFT_WAITING, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert run.stderr == ""
