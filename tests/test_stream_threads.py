"""The thread of a stream: damage in its place, repairs, forks, and no thread left behind."""

import gc
import itertools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pipeline.stream import RowStream
from schemas.errors import CorruptDataError, UserError
from tests.datasets import Content, flip, random_rows, write_dataset
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
    gather = stream._source._batches
    monkeypatch.setattr(
        stream._source, "_batches", lambda plan: (gathers.append(plan), gather(plan))[1]
    )
    next(stream)
    time.sleep(0.1)
    assert len(gathers) <= 3
    stream.close()


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
