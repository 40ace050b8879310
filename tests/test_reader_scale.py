"""Ten thousand million rows: only one block of the table and one shard are real."""

import hashlib
import itertools
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dataset import open_dataset
from pipeline.orders.order import Permutation
from pipeline.shard_reading.shard_places import LocalPlace
from pipeline.shard_reading.shard_table import ShardTable
from pipeline.stream import RowStream
from pipeline.table import BLOCK_SHARDS, write_table
from schemas.manifest import HELDOUT, TRAIN, FileHashes, StoredFile, TableBlock
from schemas.names import MANIFEST_NAME
from tests.datasets import TABLE, Content, random_rows, write_dataset

SHARD_ROWS, BLOCKS = 3456, 2900
BLOCK_ROWS = SHARD_ROWS * BLOCK_SHARDS
PLACE = 7_654_321_098
TIMES = 12
"""How often the processor's time is measured, of which the shortest counts: others use the machine
too. Seconds of a clock are in docs/benchmarks.md."""

CONTENT = Content(rows=SHARD_ROWS, shards=1, batch_rows=256)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Of the shard table only the first block and the ends are bytes; the others are a hole."""
    path = write_dataset(tmp_path_factory.mktemp("large") / "d", CONTENT)
    manifest = open_dataset(path).manifest
    (shard,) = ShardTable(LocalPlace(path), manifest, TRAIN)
    shards = [
        replace(shard, slice=number, first_row=number * SHARD_ROWS)
        for number in range(BLOCK_SHARDS)
    ]
    one, _ = write_table(path / TABLE, shards)
    content = (path / TABLE).read_bytes()
    _, first, behind, size = one.offsets
    edges = [0, *range(first, first + BLOCKS * (behind - first) + 1, behind - first)]
    with (path / TABLE).open("r+b") as stream:
        stream.truncate(edges[-1])
        stream.seek(edges[-1])
        stream.write(content[behind:size])
    hashes = FileHashes(
        edges[-1] + size - behind,
        hashlib.sha256(b"of holes").hexdigest(),
        (*edges, edges[-1] + size - behind),
        (one.xxh3[0], *itertools.repeat(one.xxh3[1], BLOCKS), one.xxh3[2]),
    )
    blocks = [TableBlock(TRAIN, BLOCK_SHARDS, n * BLOCK_ROWS, BLOCK_ROWS) for n in range(BLOCKS)]
    large = replace(
        manifest,
        rows={TRAIN: BLOCKS * BLOCK_ROWS, HELDOUT: 0},
        table=StoredFile(TABLE, hashes),
        table_blocks=tuple(blocks),
    )
    (path / MANIFEST_NAME).write_text(large.to_json(), encoding="utf-8")
    return path


def first_rows(path):
    """What a stream does until it has its first rows."""
    dataset = open_dataset(path)
    reader = dataset.reader(TRAIN)
    assert reader.rows_of(0).tolist() == [SHARD_ROWS] * BLOCK_SHARDS
    return dataset.num_rows(TRAIN), reader.gather(np.arange(100))


def test_the_first_rows_of_ten_thousand_million_come_within_a_tenth_of_a_second(path):
    seconds = [1.0]
    while min(seconds) >= 0.1 and len(seconds) <= TIMES:
        started = time.process_time()
        num_rows, rows = first_rows(path)
        seconds.append(time.process_time() - started)
    assert num_rows > 10**10
    assert np.array_equal(rows, random_rows(CONTENT).rows[:100])
    assert min(seconds) < 0.1


def test_the_first_rows_of_ten_thousand_million_take_little_memory(path):
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    first_rows(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak + pa.total_allocated_bytes() - before < 100e6


def opened(path, **arguments):
    return RowStream(path, 64, order="global", **arguments)


def first_rows_at(stream):
    return stream.rows_at(PLACE, PLACE + 64)[1]


def test_a_stream_starts_looks_up_and_resumes_anywhere_within_a_tenth_of_a_second(path):
    seconds = {"start": [], "lookup": [], "resume": []}

    def timed(stage, act, *arguments, **named):
        started = time.process_time()
        result = act(*arguments, **named)
        seconds[stage].append(time.process_time() - started)
        return result

    for _ in range(TIMES):
        with timed("start", opened, path, consumed_rows=PLACE) as stream:
            rows, state = timed("lookup", first_rows_at, stream), stream.state()
            order = Permutation(BLOCKS * BLOCK_ROWS, 1, 0, stream.datasets[0].digest)
        with timed("resume", opened, path, state=state) as stream:
            assert state == stream.state()
            assert state["consumed_rows"] == PLACE
            assert np.array_equal(first_rows_at(stream), rows)
    assert np.array_equal(rows, order(np.arange(PLACE, PLACE + 64)))
    fastest = {stage: min(found) for stage, found in seconds.items()}
    assert max(fastest.values()) < 0.1, fastest


def test_a_stream_that_starts_looks_up_and_resumes_anywhere_takes_little_memory(path):
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    with opened(path, consumed_rows=PLACE) as stream:
        first_rows_at(stream)
        with opened(path, state=stream.state()) as resumed:
            first_rows_at(resumed)
            _, peak = tracemalloc.get_traced_memory()
            allocated = pa.total_allocated_bytes()
    tracemalloc.stop()
    assert peak + allocated - before < 100e6
