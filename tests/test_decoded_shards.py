import itertools
import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset import open_dataset
from pipeline.shard_reading.decoded_shards import DecodedBatches
from pipeline.shard_reading.reader import gather_mixed
from pipeline.shard_reading.shard_blocks import UNVERIFIED
from pipeline.shard_reading.shard_table import ShardTable
from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import HELDOUT, TRAIN
from schemas.samples import SHARD_FORMATS, RowFormat
from tests.datasets import Content, flip, random_rows
from tests.format_datasets import write_dataset_as

DECODED = [name for name in SHARD_FORMATS if name != "arrow"]
ROWS = random_rows(Content()).rows
ALL = np.arange(len(ROWS))
BATCH_BYTES = ROWS[:5].nbytes


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return {name: write_dataset_as(folder / name, name, heldout=4) for name in SHARD_FORMATS}


@pytest.fixture(params=DECODED)
def path(request, tmp_path):
    return write_dataset_as(tmp_path / request.param, request.param)


def shards_of(path):
    return sorted((path / "shards" / "train").iterdir())


def reader_of(path, max_open_shards=None, memory_bytes=10**9):
    return open_dataset(path).reader(TRAIN, max_open_shards, DecodedBatches(memory_bytes))


@given(
    name=st.sampled_from(SHARD_FORMATS),
    numbers=st.lists(st.integers(0, 39), max_size=60),
    open_files=st.integers(1, 4),
    memory_bytes=st.integers(0, 5 * BATCH_BYTES),
)
def test_any_rows_of_any_format_are_gathered_whatever_the_bounds(
    written, name, numbers, open_files, memory_bytes
):
    reader = reader_of(written[name], open_files, memory_bytes)
    for _ in range(2):
        assert np.array_equal(reader.gather(np.array(numbers, np.int64)), ROWS[numbers])
        assert reader.num_decoded_bytes <= max(memory_bytes, BATCH_BYTES)


@pytest.mark.parametrize("name", DECODED)
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_wide_rows_of_both_splits_are_gathered(tmp_path, name, dtype):
    wide = RowFormat(24, 3, dtype, ("blank",))
    path = write_dataset_as(tmp_path, name, rows=30, heldout=7, row_format=wide)
    for split, count in ((TRAIN, 30), (HELDOUT, 7)):
        expected = random_rows(Content(rows=30, heldout=7, row_format=wide), split).rows
        rows = open_dataset(path).reader(split).gather(np.arange(count))
        assert rows.dtype == dtype
        assert np.array_equal(rows, expected)


@pytest.mark.parametrize("name", SHARD_FORMATS)
def test_the_origin_of_every_row_is_found(written, name):
    reader, expected = reader_of(written[name], 1), random_rows(Content()).origin
    for number in ALL.tolist():
        entry, index, origin = reader.origin(number)
        assert entry.first_row + index == number
        assert np.array_equal(origin, expected[:, number])


@pytest.mark.parametrize("name", DECODED)
def test_a_record_batch_is_decoded_once_while_there_is_room(written, name):
    reader = reader_of(written[name], 1, len(ROWS) * BATCH_BYTES)
    reader.gather(ALL)
    decoded = reader.num_verified
    assert reader.num_decoded_bytes == ROWS.nbytes
    for _ in range(3):
        reader.gather(np.random.default_rng(0).permutation(40))
    assert reader.num_verified == decoded


@pytest.mark.parametrize("name", DECODED)
def test_the_least_recently_used_record_batch_makes_room(written, name):
    reader = reader_of(written[name], 8, 3 * BATCH_BYTES)
    for first in (0, 5, 15, 0, 20):
        reader.gather(np.arange(first, first + 3))
    decoded = reader.num_verified
    reader.gather(np.array([0, 15, 20]))
    assert reader.num_verified == decoded
    reader.gather(np.array([5]))
    assert reader.num_verified == decoded + 1


@pytest.mark.parametrize("name", DECODED)
def test_a_closed_reader_holds_nothing_and_can_be_used_again(written, name):
    reader = reader_of(written[name])
    reader.gather(ALL)
    reader.close()
    assert reader.num_decoded_bytes == 0
    assert np.array_equal(reader.gather(ALL), ROWS)


def test_readers_of_every_format_mix_and_have_their_own_memory(written):
    readers = [reader_of(written[name], 2, 2 * BATCH_BYTES) for name in SHARD_FORMATS]
    rng = np.random.default_rng(3)
    for _ in range(5):
        choices, numbers = rng.integers(0, len(readers), 50), rng.integers(0, 40, 50)
        assert np.array_equal(gather_mixed(readers, choices, numbers), ROWS[numbers])
    held = [reader.num_decoded_bytes for reader in readers]
    assert held[0] == 0
    assert all(0 < one <= 2 * BATCH_BYTES for one in held[1:])


@pytest.mark.fault
def test_a_flipped_bit_in_any_region_is_an_error_saying_where_and_what_was_expected(path):
    dataset = open_dataset(path)
    for entry in ShardTable(dataset.place, dataset.manifest, TRAIN):
        for region, (start, stop) in enumerate(itertools.pairwise(entry.hashes.offsets)):
            expected = rf"{Path(entry.path).name}: .* \(bytes {start}\.\.{stop}\) is damaged: "
            expected += rf"expected xxh3 {entry.hashes.xxh3[region]:016x}, found .*; run .*repair"
            for position in random.Random(1).choices(range(start, stop), k=8 * (start < stop)):
                flip(path / entry.path, position)
                with pytest.raises(CorruptDataError, match=expected):
                    reader_of(path).gather(ALL)
                flip(path / entry.path, position)
    assert np.array_equal(reader_of(path).gather(ALL), ROWS)


@pytest.mark.fault
@pytest.mark.parametrize("change", ["truncate", "empty", "delete", "flip", "swap"])
def test_decoded_rows_outlive_a_change_of_their_file_and_others_are_errors(path, change):
    reader, shard = reader_of(path), shards_of(path)[0]
    reader.gather(ALL[:3])
    kept = shard.read_bytes()
    if change == "truncate":
        os.truncate(shard, 100)
    elif change == "empty":
        os.truncate(shard, 0)
    elif change == "delete":
        shard.unlink()
    elif change == "flip":
        for position in range(0, len(kept), 50):
            flip(shard, position)
    else:
        shards_of(path)[1].rename(shard)
    assert np.array_equal(reader.gather(ALL[:5]), ROWS[:5])
    with pytest.raises(CorruptDataError, match=rf"{shard.name}: .*expected|cannot be opened"):
        reader.gather(ALL[:13])
    shard.write_bytes(kept)
    assert np.array_equal(reader.gather(ALL[:13]), ROWS[:13])


@pytest.mark.fault
def test_bytes_changed_after_a_batch_made_room_are_found(path):
    reader, shard = reader_of(path, 1, BATCH_BYTES), shards_of(path)[0]
    entry = reader.origin(0)[0]
    reader.gather(ALL[:3])
    reader.gather(ALL[30:33])
    flip(shard, entry.hashes.offsets[1] + 7)
    with pytest.raises(CorruptDataError, match=f"{shard.name}: .*batch 0"):
        reader.gather(ALL[:3])


@pytest.mark.parametrize("name", DECODED)
def test_a_forked_process_reads_on_with_what_was_decoded(written, name):
    reader = reader_of(written[name])
    reader.gather(ALL[:3])
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(reader.gather(ALL), ROWS) else 1)
    assert np.array_equal(reader.gather(ALL), ROWS)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_rows_that_compression_did_not_shorten_are_not_left_in_the_file(tmp_path):
    content = Content(row_format=RowFormat(1, 1, "uint16", ("b",)))
    path = write_dataset_as(tmp_path, "arrow-lz4", row_format=content.row_format)
    reader = reader_of(path)
    reader.gather(ALL)
    for shard in shards_of(path):
        os.truncate(shard, 0)
    assert np.array_equal(reader.gather(ALL), random_rows(content).rows)


@pytest.mark.parametrize("name", ["arrow-lz4", "arrow-zstd"])
def test_nothing_is_kept_of_a_record_batch_but_its_rows(tmp_path, name):
    row_format = RowFormat(256, 40, "uint16", ("blank",))
    path = write_dataset_as(tmp_path, name, rows=300, batch_rows=50, row_format=row_format)
    reader, before = reader_of(path, 8, 120 * row_format.row_bytes), pa.total_allocated_bytes()
    for seed in range(3):
        reader.gather(np.random.default_rng(seed).permutation(300)[:40])
        held = pa.total_allocated_bytes() - before
        assert 0 < reader.num_decoded_bytes <= 120 * row_format.row_bytes
        assert held <= reader.num_decoded_bytes + 20_000


def test_an_unknown_format_is_refused_at_the_door(path):
    dataset = open_dataset(path)
    dataset.manifest = replace(dataset.manifest, shard_format="parquet")
    with pytest.raises(DatasetError, match="shard format 'parquet', this release knows arrow, "):
        dataset.reader(TRAIN)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=40),
    st.integers(0, 60),
)
def test_memory_holds_no_more_than_it_may_and_notes_what_it_holds(used, memory_bytes):
    memory, offsets = DecodedBatches(memory_bytes), {n: np.full(6, UNVERIFIED) for n in range(4)}
    sizes = itertools.cycle([10, 20, 30])
    for owner, batch in used:
        if offsets[owner][batch] == UNVERIFIED:
            memory.keep(owner, batch, np.zeros(next(sizes), np.uint8), offsets[owner])
        else:
            memory.use(owner, batch)
        assert offsets[owner][batch] != UNVERIFIED
        held = sum(int((part != UNVERIFIED).sum()) for part in offsets.values())
        assert 10 * held <= memory.num_bytes <= max(memory_bytes, 30 if held == 1 else 0)
    for owner in range(4):
        memory.drop(owner)
    assert memory.num_bytes == 0
    assert all((part == UNVERIFIED).all() for part in offsets.values())
