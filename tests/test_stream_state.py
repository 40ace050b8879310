"""States of the stream: what goes on behind them, in the same mixture or another one."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stream import RowStream
from schemas.errors import DatasetError
from tests.grown_datasets import write_versions
from tests.streams import CONTENTS, read, row_numbers, visits, write_contents
from tests.test_segments import mutated


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_contents(tmp_path_factory.mktemp("streams"))


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


def test_a_windowed_stream_resumed_at_any_row_continues_exactly(paths):
    datasets = {paths[0]: 0.7, paths[1]: 0.2, paths[2]: 0.1}
    arguments = {"order": "windowed", "window_shards": 2}
    whole = read(datasets, limit=1, batch_rows=140, **arguments)[0]
    for start in range(130):
        (found,) = read(datasets, 1, batch_rows=10, consumed_rows=start, **arguments)
        assert np.array_equal(found.rows, whole.rows[start : start + 10])


WORLDS = st.lists(
    st.tuples(st.integers(1, 17), st.integers(1, 3), st.integers(0, 16)), min_size=2, max_size=3
)


@given(WORLDS, st.integers(1, 40), st.sampled_from([None, 2]))
@settings(max_examples=settings().max_examples // 4)
def test_ranks_that_come_and_go_read_what_one_process_reads(
    paths, worlds, batch_rows, window_shards
):
    datasets = {paths[0]: 3, paths[1]: 1}
    arguments = {"batch_rows": batch_rows, "window_shards": window_shards}
    found, state = [], None
    for world_size, num_batches, saved_by in worlds:
        ranks, states = [], []
        for rank in range(world_size):
            place = {"rank": rank, "world_size": world_size, "state": state}
            with RowStream(datasets, **arguments, **place) as stream:
                ranks.append([next(stream) for _ in range(num_batches)])
                states.append(stream.state())
        assert states == [states[0]] * world_size
        state = states[saved_by % world_size]
        found += itertools.chain.from_iterable(zip(*ranks, strict=True))
    whole = read(datasets, sum(steps for _, steps, _ in worlds), **arguments)
    assert visits(found) == visits(whole)
    rows = (np.concatenate([batch.rows for batch in batches]) for batches in (found, whole))
    assert np.array_equal(*rows)
    assert state["consumed_rows"] == whole[-1].consumed_rows


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
            "segments": [{"first_row": 0, "datasets": {digest: 2.0}, "seed": 9, "order": "global"}],
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
        ({"seed": 2}, "seed 1 in the state, 2 here"),
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
    with pytest.raises(DatasetError, match=r"not a state of a stream \("):
        RowStream(paths[0], state=state)


def test_a_state_of_one_segment_without_an_order_goes_on(paths):
    with RowStream(paths[0], batch_rows=7) as stream:
        next(stream)
        state, expected = stream.state(), next(stream).row_numbers
        del state["segments"][0]["order"]
    (found,) = read(paths[0], 1, batch_rows=7, state=state)
    assert np.array_equal(found.row_numbers, expected)


def test_an_order_left_open_is_that_of_the_state(paths):
    state = read_until(paths[0], 10, order="windowed", window_shards=2)
    with RowStream(paths[0], state=state) as stream:
        assert stream.state() == state
    with pytest.raises(DatasetError, match=r"window_shards=2 in the state, order=.global. here"):
        RowStream(paths[0], state=state, order="global")
    with RowStream(paths[0], state=state, order="global", change=True) as stream:
        assert [one["order"] for one in stream.state()["segments"]] == ["windowed/2", "global"]


def test_a_state_is_plain_whatever_integers_were_given(paths, tmp_path):
    whole = dict.fromkeys(("batch_rows", "seed", "world_size", "window_shards"), np.int64(3))
    whole |= {"rank": np.int32(1), "consumed_rows": np.uint64(6), "epochs": np.int64(9)}
    whole |= {"cache": tmp_path / "cache", "cache_bytes": np.int64(10**9)}
    with RowStream({paths[0]: np.float32(2)}, **whole) as stream:
        next(stream)
        state = stream.state()
        assert type(stream.total_rows) is int
    assert json.loads(json.dumps(state)) == state
    assert state["consumed_rows"] == 9
    assert len(read(paths[0], 1, seed=3, window_shards=3, state=state)) == 1


def test_a_window_alone_asks_for_the_windowed_order(paths):
    state = read_until(paths[0], 10, window_shards=2)
    assert state["segments"][0]["order"] == "windowed/2"
    with RowStream(paths[0], window_shards=2, state=state) as stream:
        assert stream.state() == state
    with pytest.raises(
        DatasetError, match=r"window_shards=2 in the state, .* window_shards=3 here"
    ):
        RowStream(paths[0], window_shards=3, state=state)
    before = read_until(paths[0], 10)
    with RowStream(paths[0], window_shards=2, state=before, change=True) as stream:
        assert [one["order"] for one in stream.state()["segments"]] == ["global", "windowed/2"]


def read_until(datasets, rows, **arguments):
    """State behind the first `rows` rows, or the next ones where the arguments hold a state."""
    with RowStream(datasets, batch_rows=rows, **arguments) as stream:
        next(stream)
        return stream.state()


def test_a_change_goes_on_behind_what_was_read_and_its_state_tells_it_all(paths):
    first = {paths[0]: 1.0, paths[1]: 2.0}
    second = {paths[0]: 1.0, paths[2]: 1.0}
    state = read_until(first, 30)
    with RowStream(second, batch_rows=20, seed=4, state=state, change=True) as stream:
        digests = {dataset.digest: Path(dataset.name) for dataset in stream.datasets}
        batches = [next(stream) for _ in range(4)]
        after = stream.state()
    assert [one["first_row"] for one in after["segments"]] == [0, 30]
    assert after["segments"][0] == state["segments"][0]
    assert {digests[d]: w for d, w in after["segments"][1]["datasets"].items()} == second
    assert after["segments"][1]["seed"] == 4
    again = read(second, 2, batch_rows=40, seed=4, state=json.loads(json.dumps(after)))
    with RowStream(second, batch_rows=20, seed=4, state=state, change=True) as stream:
        whole = visits([next(stream) for _ in range(8)])
    assert visits(batches) == whole[:80]
    assert visits(again) == whole[80:]


@given(
    st.lists(
        st.tuples(
            st.integers(1, 25),
            st.dictionaries(st.integers(0, 2), st.integers(1, 4), min_size=1),
            st.sampled_from(["global", "windowed"]),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=settings().max_examples // 4)
def test_changed_mixtures_neither_repeat_nor_lose_a_row(paths, parts):
    seen, state = {path: [] for path in paths}, None
    for rows, weights, order in parts:
        datasets = {paths[n]: weight for n, weight in weights.items()}
        arguments = {"order": order, "window_shards": 1 if order == "windowed" else None}
        with RowStream(datasets, rows, state=state, change=True, **arguments) as stream:
            batch, state = next(stream), stream.state()
            for number, row in zip(batch.datasets, batch.row_numbers, strict=True):
                seen[Path(stream.datasets[number].name)].append(int(row))
    for path, content in zip(paths, CONTENTS, strict=True):
        for first in range(0, len(seen[path]), content.rows):
            epoch = seen[path][first : first + content.rows]
            assert len(set(epoch)) == len(epoch)


def test_any_row_of_a_changed_stream_is_replayed_from_its_state_alone(paths):
    parts = [
        ({paths[0]: 1, paths[1]: 2}, 30),
        ({paths[0]: 3, paths[2]: 1}, 25),
        ({paths[1]: 1}, 20),
    ]
    state, expected = None, []
    for datasets, rows in parts:
        with RowStream(datasets, rows, state=state, seed=rows, change=True) as stream:
            batch, state = next(stream), stream.state()
            expected += [r.tobytes() for r in batch.rows]
    for start in range(75):
        replayed = state | {"consumed_rows": start}
        (batch,) = read(dict.fromkeys(paths, 1), 1, batch_rows=9, state=replayed, replay=True)
        found = [row.tobytes() for row in batch.rows]
        assert found[: 75 - start] == expected[start : start + 9]


def test_a_data_set_that_an_older_segment_needs_must_be_given(paths):
    state = read_until({paths[0]: 1, paths[1]: 1}, 30)
    state = read_until(paths[0], 10, state=state, change=True)
    assert len(read(paths[0], 2, state=state)) == 2
    digest = next(
        d for d in state["segments"][0]["datasets"] if d not in state["segments"][1]["datasets"]
    )
    with pytest.raises(DatasetError, match=f"row 0 on mixes data set {digest[:12]}, which is not"):
        RowStream(paths[0], state=state | {"consumed_rows": 3})


def test_appended_rows_join_at_the_next_epoch(tmp_path):
    small, large = write_versions(tmp_path, 3, 8)
    state = read_until(small, 25)
    with pytest.raises(DatasetError, match=r"data set .* has grown and is .* now; resume"):
        RowStream(large, state=state)
    before = row_numbers(read(small, 1, batch_rows=30))
    with RowStream(large, 5, state=state, change=True) as stream:
        rest = row_numbers([next(stream) for _ in range(9)])
    assert rest[:5] == before[25:30]
    assert sorted(rest[5:45]) == list(range(40))
    with RowStream(large, 5, state=state, change=True, epochs=3) as stream:
        assert stream.total_rows == 15 + 15 + 40


def test_a_windowed_epoch_of_a_version_before_ends_as_it_began(tmp_path):
    small, large = write_versions(tmp_path, 3, 8)
    arguments = {"order": "windowed", "window_shards": 2}
    state = read_until(small, 7, **arguments)
    with RowStream(large, 8, state=state, change=True, **arguments) as stream:
        rest = row_numbers([next(stream) for _ in range(6)])
    assert rest[:8] == row_numbers(read(small, 1, batch_rows=15, **arguments))[7:]
    assert sorted(rest[8:48]) == list(range(40))


def test_an_epoch_is_counted_over_all_segments(paths):
    state = read_until({paths[2]: 1, paths[0]: 1}, 8)
    with RowStream({paths[2]: 1}, state=state, change=True, epochs=2) as stream:
        assert stream.total_rows == 8 + 2
    with RowStream({paths[2]: 1}, state=state, change=True, epochs=1) as stream:
        assert stream.total_rows == 8
        assert list(stream) == []


def test_a_changed_state_gives_a_stream_or_says_why_not(paths):
    state = read_until({paths[0]: 1, paths[1]: 1}, 30)
    state = read_until({paths[0]: 2, paths[1]: 1}, 10, state=state, change=True)

    @settings(max_examples=settings().max_examples * 2 // 3)
    @given(st.data())
    def check(data):
        changed = mutated(state, data)
        for replay in (False, True):
            try:
                found = read({paths[0]: 2, paths[1]: 1}, 1, state=changed, replay=replay)
            except DatasetError:
                continue
            assert len(found[0]) == 64

    check()
