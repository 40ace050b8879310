import gc
import itertools
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.order import permute
from pipeline.stream import Batch, RowStream
from schemas.errors import CorruptDataError, DatasetError, UserError
from tests.datasets import Content, flip, random_rows, write_dataset

CONTENTS = [Content(), Content(rows=17, shards=2, seed=1), Content(rows=3, shards=1, seed=2)]
WORLD_SIZES = st.sampled_from([1, 2, 3, 8])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    return [write_dataset(folder / str(n), content) for n, content in enumerate(CONTENTS)]


@pytest.fixture
def path(tmp_path):
    return write_dataset(tmp_path / "dataset")


def read(datasets, limit=None, **arguments):
    """Up to `limit` batches as a list."""
    with RowStream(datasets, **arguments) as stream:
        return list(itertools.islice(stream, limit))


def visits(batches):
    """(index of data set, row number) of every row, in order."""
    return [
        pair
        for batch in batches
        for pair in zip(batch.datasets.tolist(), batch.row_numbers.tolist(), strict=True)
    ]


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name == "blankstream-prefetch"]


def wait_for_no_thread():
    for _ in range(200):
        if not prefetch_threads():
            return
        time.sleep(0.01)
    pytest.fail("the prefetch thread goes on")


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
    expected = [permute(np.arange(40), 40, 5, epoch, digest).tolist() for epoch in (0, 1)]
    assert numbers[:80] == expected[0] + expected[1]


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


@pytest.mark.parametrize("world_size", [1, 3])
def test_a_stream_resumed_at_any_row_continues_exactly(paths, world_size):
    datasets = {paths[0]: 0.7, paths[1]: 0.2, paths[2]: 0.1}
    whole = read(datasets, limit=1, batch_rows=100)[0]
    for start in range(90):
        parts = [
            read(datasets, 1, batch_rows=10, consumed_rows=start, rank=r, world_size=world_size)[0]
            for r in range(world_size)
        ]
        found = np.concatenate([part.rows for part in parts])
        assert np.array_equal(found, whole.rows[start : start + 10])


@given(st.integers(0, 12), st.integers(1, 12))
def test_a_state_continues_behind_the_last_batch_handed_out(paths, num_batches, batch_rows):
    datasets = {paths[0]: 3, paths[1]: 1}
    expected = visits(read(datasets, num_batches + 2, batch_rows=batch_rows))
    with RowStream(datasets, batch_rows=batch_rows) as stream:
        before = [next(stream) for _ in range(num_batches)]
        state = json.loads(json.dumps(stream.state_dict(), sort_keys=True))
    assert state["consumed_rows"] == num_batches * batch_rows
    after = read(datasets, 2, batch_rows=batch_rows, state=state)
    assert visits(before) + visits(after) == expected


def test_a_state_has_the_form_that_checkpoints_keep(paths):
    with RowStream({paths[0]: 2}, seed=9) as stream:
        digest = stream.datasets[0].digest
        assert stream.state() == {
            "consumed_rows": 0,
            "segments": [{"first_row": 0, "datasets": {digest: 2.0}, "seed": 9}],
        }


def test_loading_a_state_goes_back_or_forth(paths):
    with RowStream(paths[0], batch_rows=5) as stream:
        states, batches = [], []
        for _ in range(4):
            states.append(stream.state())
            batches.append(next(stream).rows)
        for index in (2, 0, 3):
            stream.load_state_dict(states[index])
            assert np.array_equal(next(stream).rows, batches[index])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"seed": 2}, "seed 1 in the state, 2 given"),
        ({"datasets": [0]}, "is not given"),
        ({"datasets": [0, 1, 2]}, "is new"),
        ({"weights": [2, 1, 1]}, "weights .* in the state, .* given"),
    ],
)
def test_a_state_of_another_mixture_is_refused(paths, arguments, named):
    def mixture(datasets=(0, 1), weights=(1, 1, 1), seed=1):
        return {paths[n]: weights[n] for n in datasets}, seed

    datasets, seed = mixture()
    state = RowStream(datasets, seed=seed).state()
    datasets, seed = mixture(**arguments)
    with pytest.raises(DatasetError, match=f"the state belongs to another mixture: .*{named}"):
        RowStream(datasets, seed=seed, state=state)


def test_equal_shares_and_another_order_of_data_sets_are_the_same_mixture(paths):
    stream = RowStream({paths[0]: 1, paths[1]: 2})
    following = RowStream({paths[1]: 20, paths[0]: 10}, state=stream.state())
    np.testing.assert_array_equal(next(following).rows, next(stream).rows)


@pytest.mark.parametrize(
    "state", [{}, {"consumed_rows": 1, "segments": []}, {"consumed_rows": -1}, [], "state"]
)
def test_what_is_no_state_is_refused(paths, state):
    with pytest.raises(DatasetError, match="not a state of a stream with one segment"):
        RowStream(paths[0], state=state)


@given(st.lists(st.integers(1, 9), min_size=3, max_size=3), st.integers(1, 200))
def test_every_prefix_holds_each_data_set_within_one_row_of_its_share(paths, weights, length):
    datasets = dict(zip(paths, weights, strict=True))
    with RowStream(datasets, batch_rows=length) as stream:
        shares = [datasets[dataset.path] / sum(weights) for dataset in stream.datasets]
        counts = np.cumsum(next(stream).datasets[:, None] == np.arange(3), axis=0)
    exact = np.arange(1, length + 1)[:, None] * shares
    assert np.abs(counts - exact).max() < 1


def test_mixed_rows_are_those_of_their_data_set(paths):
    contents = dict(zip(paths, CONTENTS, strict=True))
    with RowStream(dict.fromkeys(paths, 1), batch_rows=30) as stream:
        batch = next(stream)
        expected = [random_rows(contents[dataset.path]).rows for dataset in stream.datasets]
    for row, dataset, number in zip(batch.rows, batch.datasets, batch.row_numbers, strict=True):
        assert np.array_equal(row, expected[dataset][number])


def test_epochs_end_before_any_data_set_begins_one_more(paths):
    with RowStream({paths[0]: 1, paths[2]: 1}, batch_rows=4, epochs=2) as stream:
        small = [dataset.path for dataset in stream.datasets].index(paths[2])
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
        ({"consumed_rows": 3, "state": {}}, "beside a state: give one of them"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused(paths, arguments, message):
    with pytest.raises(UserError, match=message):
        RowStream(paths[0], **arguments)


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


def test_reading_needs_neither_torch_nor_what_builds():
    code = (
        "import sys, pipeline.stream; "
        "print([n for n in ('torch', 'ray', 'nltk', 'sentencepiece', 'webdataset', 'numba') "
        "if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
