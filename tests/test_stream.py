"""The stream: rows in batches, epoch after epoch, shared by ranks."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset import open_dataset
from pipeline.orders.order import Permutation
from pipeline.shard_reading.reader import RowReader
from pipeline.stream import Batch, RowStream
from schemas.errors import UserError
from tests.datasets import Content, random_rows
from tests.streams import CONTENTS, read, row_numbers, visits, write_contents

WORLD_SIZES = st.sampled_from([1, 2, 3, 8])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_contents(tmp_path_factory.mktemp("streams"))


def test_a_batch_has_views_of_every_part_in_the_type_on_disk(paths):
    (batch,) = read(paths[0], limit=1, batch_rows=4)
    row_format = Content().row_format
    assert isinstance(batch, Batch)
    assert len(batch) == 4
    for name, place in row_format.slices.items():
        part = getattr(batch, name)
        assert part.dtype == row_format.dtype
        assert part.base is not None
        assert np.array_equal(part, batch.rows[:, place])
    assert batch.tokens.shape == batch.positions.shape == (4, row_format.row_tokens)
    assert batch.lengths.shape == (4, row_format.max_samples)
    batch.rows[:] = 0


@given(st.integers(1, 50), st.integers(0, 2**31), st.integers(1, 3))
def test_an_epoch_holds_every_row_once_as_it_is_on_disk(paths, batch_rows, seed, epochs):
    batches = read(paths[0], batch_rows=batch_rows, seed=seed, epochs=epochs)
    rows = np.concatenate([batch.rows for batch in batches])
    numbers = np.concatenate([batch.row_numbers for batch in batches])
    assert np.array_equal(rows, random_rows(Content()).rows[numbers])
    for epoch in range(epochs):
        assert sorted(numbers[40 * epoch : 40 * (epoch + 1)].tolist()) == list(range(40))


def test_rows_of_a_real_build_are_well_formed(built):
    for batch in read(built, batch_rows=16, epochs=1):
        used = batch.lengths > 0
        assert used[:, 0].all()
        assert np.array_equal(used, batch.objectives > 0)
        assert (batch.boundaries <= batch.lengths).all()
        assert (batch.lengths.sum(axis=1, dtype=int) <= batch.tokens.shape[1]).all()


def test_the_order_of_an_epoch_is_the_permutation_of_its_data_set(paths):
    with RowStream(paths[0], batch_rows=7, seed=5) as stream:
        digest = stream.datasets[0].digest
        numbers = [number for _ in range(12) for number in next(stream).row_numbers.tolist()]
    expected = [Permutation(40, 5, epoch, digest)(np.arange(40)).tolist() for epoch in (0, 1)]
    assert numbers[:80] == expected[0] + expected[1]


@pytest.mark.parametrize("window_shards", [1, 2, 64])
def test_a_windowed_epoch_holds_every_row_once_as_it_is_on_disk(paths, window_shards):
    batches = read(paths[0], batch_rows=7, epochs=2, order="windowed", window_shards=window_shards)
    numbers = row_numbers(batches)
    assert np.array_equal(
        np.concatenate([batch.rows for batch in batches]), random_rows(Content()).rows[numbers]
    )
    assert sorted(numbers[:40]) == sorted(numbers[40:]) == list(range(40))
    assert numbers[:40] != numbers[40:]


def test_a_windowed_epoch_reads_one_window_after_the_other(paths):
    numbers = np.array(
        row_numbers(read(paths[0], batch_rows=8, epochs=1, order="windowed", window_shards=1))
    )
    shards = np.searchsorted([13, 26], numbers, side="right")
    assert np.count_nonzero(np.diff(shards)) == 2


def test_readers_are_told_of_the_shards_of_windows_to_come(paths, monkeypatch):
    told = []
    monkeypatch.setattr(RowReader, "ahead", lambda self, shards: told.append(shards))
    with RowStream(paths[0], batch_rows=10, order="windowed", window_shards=1) as stream:
        numbers = [number for _ in range(12) for number in next(stream).row_numbers.tolist()]
    shards = np.searchsorted([13, 26], numbers, side="right").tolist()
    assert [shard for _, shard in told[0]] == list(dict.fromkeys(shards))
    windows = (shard for shard, _ in itertools.groupby(shards))
    assert all(ahead[0][1] in windows for ahead in told[:3])  # in this order
    told.clear()
    read(paths[0], 4, batch_rows=10, order="global")
    assert told == []


def test_a_data_set_smaller_than_a_batch_comes_more_than_once_in_it(paths):
    (batch,) = read(paths[2], limit=1, batch_rows=8)
    assert len(batch) == 8
    epochs = [batch.row_numbers[first : first + 3].tolist() for first in (0, 3)]
    assert [sorted(epoch) for epoch in epochs] == [[0, 1, 2]] * 2
    assert read(paths[2], batch_rows=8, epochs=2, drop_last=True) == []
    assert [len(batch) for batch in read(paths[2], batch_rows=8, epochs=3)] == [8, 1]


def test_an_endless_stream_wraps_inside_a_batch(paths):
    batches = read(paths[2], limit=5, batch_rows=8)
    assert [len(batch) for batch in batches] == [8] * 5
    assert [batch.consumed_rows for batch in batches] == [8, 16, 24, 32, 40]


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [16, 16, 8]), (True, [16, 16])])
def test_the_last_batch_is_short_unless_it_is_dropped(paths, drop_last, sizes):
    batches = read(paths[0], batch_rows=16, epochs=1, drop_last=drop_last)
    assert [len(batch) for batch in batches] == sizes


def test_a_stream_at_its_end_stays_there(paths):
    stream = RowStream(paths[0], epochs=1)
    assert [len(batch) for batch in stream] == [40]
    assert list(stream) == []
    assert stream.state()["consumed_rows"] == stream.total_rows == 40


@given(WORLD_SIZES, st.integers(1, 20), st.integers(0, 50))
def test_ranks_share_the_batches_of_one_process(paths, world_size, batch_rows, start):
    datasets = {paths[0]: 2, paths[1]: 1}
    arguments = {"batch_rows": batch_rows, "consumed_rows": start, "limit": 4}
    alone = read(datasets, **arguments)
    ranks = [
        read(datasets, rank=rank, world_size=world_size, **arguments) for rank in range(world_size)
    ]
    for whole, *shares in zip(alone, *ranks, strict=True):
        sizes = {len(share) for share in shares}
        assert max(sizes) - min(sizes) <= 1
        assert {share.consumed_rows for share in shares} == {whole.consumed_rows}
        assert np.array_equal(np.concatenate([share.rows for share in shares]), whole.rows)
        assert visits(shares) == visits([whole])


@given(st.lists(st.integers(1, 9), min_size=3, max_size=3), st.integers(1, 200))
def test_every_prefix_holds_each_data_set_within_one_row_of_its_share(paths, weights, length):
    datasets = dict(zip(paths, weights, strict=True))
    with RowStream(datasets, batch_rows=length) as stream:
        shares = [datasets[Path(dataset.name)] / sum(weights) for dataset in stream.datasets]
        counts = np.cumsum(next(stream).datasets[:, None] == np.arange(3), axis=0)
    exact = np.arange(1, length + 1)[:, None] * shares
    assert np.abs(counts - exact).max() < 1


def test_mixed_rows_are_those_of_their_data_set(paths):
    contents = dict(zip(paths, CONTENTS, strict=True))
    with RowStream(dict.fromkeys(paths, 1), batch_rows=30) as stream:
        batch = next(stream)
        expected = [random_rows(contents[Path(dataset.name)]).rows for dataset in stream.datasets]
    for row, dataset, number in zip(batch.rows, batch.datasets, batch.row_numbers, strict=True):
        assert np.array_equal(row, expected[dataset][number])


def test_epochs_end_before_any_data_set_begins_one_more(paths):
    with RowStream({paths[0]: 1, paths[2]: 1}, batch_rows=4, epochs=2) as stream:
        small = [Path(dataset.name) for dataset in stream.datasets].index(paths[2])
        chosen = [dataset for batch in stream for dataset in batch.datasets.tolist()]
    assert chosen.count(small) == 2 * 3
    assert 5 <= chosen.count(1 - small) <= 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_rows": 0}, r"batch_rows=0: expected an integer in 1\.\."),
        ({"batch_rows": 1.5}, "batch_rows=1.5: expected an integer"),
        ({"seed": "1"}, "seed='1': expected an integer in 0"),
        ({"rank": -1}, r"rank=-1: expected an integer in 0\.\."),
        ({"rank": 2, "world_size": 2}, "rank=2: expected less than world_size=2"),
        ({"world_size": 0}, r"world_size=0: expected an integer in 1\.\."),
        ({"consumed_rows": -1}, r"consumed_rows=-1: expected an integer in 0\.\."),
        ({"epochs": 0}, r"epochs=0: expected an integer in 1\.\."),
        ({"consumed_rows": 10**30}, r"consumed_rows=1000.*: expected an integer in 0\.\."),
        ({"batch_rows": 2.0}, r"batch_rows=2\.0: expected an integer in 1\.\."),
        ({"split": "test"}, "split 'test': expected one of"),
        ({"split": "heldout"}, "no rows in split 'heldout'"),
        ({"order": "sorted"}, "order='sorted': expected 'auto', 'global' or 'windowed'"),
        ({"window_shards": 0}, r"window_shards=0: expected an integer in 1\.\."),
        ({"change": True, "replay": True}, "change=True beside replay=True: give one of them"),
        ({"consumed_rows": 3, "state": {}}, "beside a state: give one of them"),
        ({"cache": True}, "cache=True: expected a folder or a CacheFolder"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused(paths, arguments, message):
    with pytest.raises(UserError, match=message):
        RowStream(paths[0], **arguments)


def test_opened_data_sets_are_read_and_can_be_read_again(paths):
    datasets = {open_dataset(path): weight for path, weight in zip(paths, (3, 1, 1), strict=True)}
    expected = visits(read(dict(zip(paths, (3, 1, 1), strict=True)), 3))
    for _ in range(2):
        with RowStream(datasets) as stream:
            assert set(stream.datasets) == set(datasets)
            assert visits([next(stream) for _ in range(3)]) == expected


@given(st.integers(0, 120), st.integers(0, 60), st.integers(0, 5))
def test_the_rows_at_any_place_are_those_that_come_there(paths, start, count, before):
    datasets = {paths[0]: 2, paths[1]: 1}
    batches = read(datasets, 19, batch_rows=10)
    with RowStream(datasets, batch_rows=10) as stream:
        for _ in range(before):
            next(stream)
        found = stream.rows_at(start, start + count)
        assert all(column.dtype == np.int64 for column in found)
        assert (
            list(zip(*map(np.ndarray.tolist, found), strict=True))
            == visits(batches)[start : start + count]
        )
        assert visits([next(stream)]) == visits(batches[before : before + 1])
    with pytest.raises(UserError, match="this stream is closed"):
        stream.rows_at(0, 1)


@pytest.mark.parametrize(
    ("start", "stop", "named"), [(-1, 3, "start=-1"), (3, 2, r"stop=2: .* 3\.\."), (0, 1.5, "stop")]
)
def test_rows_that_are_none_are_refused(paths, start, stop, named):
    with RowStream(paths[0]) as stream, pytest.raises(UserError, match=named):
        stream.rows_at(start, stop)


def test_reading_needs_neither_torch_nor_what_builds():
    code = (
        "import sys, pipeline.stream; "
        "print([n for n in ('torch', 'ray', 'nltk', 'sentencepiece', 'webdataset', 'numba') "
        "if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
