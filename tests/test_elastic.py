"""Ranks come and go: whatever the world sizes, every row of an epoch is read exactly once."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batches import Cut
from pipeline.orders.visits import Visits
from tests.sources import GivenVersions, segment, version_of

SEGMENTS = {
    "global": [segment(0, {"a": 1.0})],
    "windowed": [segment(0, {"a": 1.0}, order="windowed/8")],
}
LARGE_WORLDS = (10_240, 7, 4096, 10_239, 1, 10_240, 333)
SMALL = [GivenVersions(version_of("a", [7, 9, 4])), GivenVersions(version_of("b", [5, 5]))]
MIXED = [
    segment(0, {"a": 2.0, "b": 1.0}),
    segment(23, {"a": 1.0, "b": 3.0}, seed=2, order="windowed/2"),
]


def ranks_of(world_size: int, start: int, stop: int, cut: Cut) -> list[np.ndarray]:
    """What each rank of `world_size` takes of the global batch [start, stop)."""
    ranks = (Cut(cut.batch_rows, rank, world_size, cut.total, False) for rank in range(world_size))
    return [np.arange(*rank.share(start, stop)) for rank in ranks]


@pytest.mark.parametrize("order", SEGMENTS)
def test_10240_ranks_that_come_and_go_read_every_row_of_an_epoch_once(order):
    shards = [1000 + number % 7 for number in range(512)]
    visits = Visits(SEGMENTS[order], [GivenVersions(version_of("a", shards, 64))])
    total, sizes, step = sum(shards), set(), 0
    cut = Cut(batch_rows=20_480, rank=0, world_size=1, total=2 * total, drop_last=False)
    read = [np.zeros(total, np.int64) for _ in range(2)]
    start = 0
    while (stop := cut.stop(start)) > start:
        world_size = LARGE_WORLDS[step // 2 % len(LARGE_WORLDS)]  # resized at every second step
        shares = ranks_of(world_size, start, stop, cut)
        sizes |= {len(share) - (stop - start) // world_size for share in shares}
        indices = np.concatenate(shares)
        _, rows = visits.rows(indices)
        for epoch in range(2):
            np.add.at(read[epoch], rows[indices // total == epoch], 1)
        start, step = stop, step + 1
    assert start == 2 * total
    assert sizes == {0, 1}
    assert step > 3 * len(LARGE_WORLDS)
    assert all((counts == 1).all() for counts in read)


def test_each_of_10240_ranks_finds_its_rows_by_itself():
    visits = Visits(SEGMENTS["windowed"], [GivenVersions(version_of("a", [997] * 600, 64))])
    whole = visits.rows(np.arange(500_000, 500_000 + 20_480))[1]
    shares = ranks_of(10_240, 500_000, 520_480, Cut(20_480, 0, 1, None, False))
    for rank in range(0, 10_240, 101):
        assert visits.rows(shares[rank])[1].tolist() == whole[2 * rank : 2 * rank + 2].tolist()


@given(
    st.lists(st.tuples(st.integers(1, 17), st.integers(1, 4)), min_size=1, max_size=6),
    st.integers(1, 20),
    st.integers(0, 60),
)
def test_changes_of_the_world_size_leave_the_global_batches_alone(worlds, batch_rows, start):
    visits = Visits(MIXED, SMALL)
    cut = Cut(batch_rows, 0, 1, None, False)
    steps = itertools.chain.from_iterable([size] * steps for size, steps in worlds)
    for world_size in steps:
        stop = cut.stop(start)
        shares = ranks_of(world_size, start, stop, cut)
        found = [visits.rows(share) for share in shares]
        numbers, rows = visits.rows(np.arange(start, stop))
        assert np.array_equal(np.concatenate([one for one, _ in found]), numbers)
        assert np.array_equal(np.concatenate([one for _, one in found]), rows)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        start = stop


@given(st.integers(1, 30), st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_the_last_batch_is_short_or_left_out(batch_rows, start, total, drop_last):
    cut, sizes, whole = Cut(batch_rows, 0, 1, total, drop_last), [], max(0, total - start)
    while (stop := cut.stop(start)) > start:
        sizes.append(stop - start)
        start = stop
    assert set(sizes[:-1]) <= {batch_rows}
    assert not drop_last or set(sizes) <= {batch_rows}
    assert sum(sizes) == (whole // batch_rows * batch_rows if drop_last else whole)
