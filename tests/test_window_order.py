"""The windowed order: a bijection, shard by shard, window by window."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders.window_order import GROUP_BLOCKS, EpochKey, TableRows, WindowOrder
from pipeline.table import BLOCK_SHARDS
from schemas.errors import DatasetError
from schemas.train_config import MAX_WINDOW_SHARDS
from tests.sources import table_of

TABLES = st.lists(
    st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=GROUP_BLOCKS + 3
)
WINDOWS = st.integers(1, 7)
KEYS = st.builds(EpochKey, st.integers(0, 2**62), st.integers(0, 9), st.text(max_size=3))

GOLDEN = [1, 10, 0, 11, 3, 6, 5, 4, 8, 7, 2, 9]


def all_rows(order: WindowOrder, blocks: list[list[int]]) -> list[int]:
    return order(np.arange(sum(map(sum, blocks)))).tolist()


def shards_of(blocks: list[list[int]]) -> list[tuple[int, int]]:
    """(block, shard in the block) of every row, in order of its number."""
    return [
        (block, shard)
        for block, rows in enumerate(blocks)
        for shard, count in enumerate(rows)
        for _ in range(count)
    ]


@given(TABLES, WINDOWS, KEYS)
def test_an_epoch_visits_every_row_exactly_once(blocks, window_shards, key):
    rows = all_rows(WindowOrder(table_of(blocks), window_shards, key), blocks)
    assert sorted(rows) == list(range(sum(map(sum, blocks))))


@given(TABLES, WINDOWS, KEYS, st.data())
def test_a_row_depends_on_its_own_index_only(blocks, window_shards, key, data):
    order = WindowOrder(table_of(blocks), window_shards, key)
    places = data.draw(st.lists(st.integers(0, sum(map(sum, blocks)) - 1), max_size=20))
    expected = all_rows(WindowOrder(table_of(blocks), window_shards, key), blocks)
    assert order(np.array(places, np.int64)).tolist() == [expected[place] for place in places]


@given(TABLES, WINDOWS, KEYS)
def test_a_window_holds_all_rows_of_the_shards_that_are_named_for_it(blocks, window_shards, key):
    order = WindowOrder(table_of(blocks), window_shards, key)
    rows, shard_of = all_rows(order, blocks), shards_of(blocks)
    starts = [order.window_start(place) for place in range(len(rows))]
    left = list(order.shards_ahead(0))
    for start, places in itertools.groupby(range(len(rows)), key=starts.__getitem__):
        touched = {shard_of[rows[place]] for place in places}
        assert list(order.shards_ahead(start)) == left
        assert len(touched) <= window_shards
        assert touched == set(left[: len(touched)])
        del left[: len(touched)]
    assert left == []


def test_windows_have_as_many_shards_as_asked_for_and_the_last_of_a_group_the_rest():
    blocks = [[3] * 4] * (GROUP_BLOCKS + 1)
    order = WindowOrder(table_of(blocks), 5, EpochKey(1, 0, ""))
    starts = {order.window_start(place) for place in range(3 * 4 * len(blocks))}
    sizes = np.diff([*sorted(starts), 3 * 4 * len(blocks)]) // 3
    assert sizes.tolist() == [5] * 12 + [4] + [4]


def test_the_order_never_changes_by_accident():
    blocks = [[2, 3], [4], [1, 2]]
    assert all_rows(WindowOrder(table_of(blocks), 2, EpochKey(1, 2, "a")), blocks) == GOLDEN


@pytest.mark.parametrize("key", [EpochKey(2, 0, "a"), EpochKey(1, 1, "a"), EpochKey(1, 0, "b")])
def test_seed_epoch_and_digest_each_change_shards_and_rows(key):
    blocks = [[50] * 10] * 4
    first, second = (WindowOrder(table_of(blocks), 3, one) for one in (EpochKey(1, 0, "a"), key))
    same = np.array(all_rows(first, blocks)) == all_rows(second, blocks)
    assert same.mean() < 0.02
    assert list(first.shards_ahead(0)) != list(second.shards_ahead(0))


def test_windows_of_an_epoch_are_ordered_independently():
    blocks = [[64] * 8]
    order = WindowOrder(table_of(blocks), 1, EpochKey(1, 0, ""))
    inside = np.array(all_rows(order, blocks)).reshape(8, 64) % 64
    for first, second in itertools.combinations(inside, 2):
        assert (first == second).mean() < 0.15


def test_every_shard_opens_an_epoch_equally_often():
    blocks, epochs = [[1] * 5, [1] * 3], 4000
    table = table_of(blocks)
    first = [int(WindowOrder(table, 2, EpochKey(1, e, ""))(np.arange(1))[0]) for e in range(epochs)]
    counts = np.bincount(first, minlength=8)
    assert ((counts - epochs / 8) ** 2 / (epochs / 8)).sum() < 7 + 4 * 14**0.5


def test_blocks_are_read_when_needed_and_two_groups_are_remembered():
    blocks, read = [[2]] * (4 * GROUP_BLOCKS), []

    def rows_of(block: int) -> np.ndarray:
        read.append(block)
        return np.array(blocks[block])

    order = WindowOrder(TableRows(table_of(blocks).blocks, rows_of), 2, EpochKey(1, 0, ""))
    assert read == []
    for group in (0, 1, 0, 1):
        order(np.arange(2 * GROUP_BLOCKS * group, 2 * GROUP_BLOCKS * (group + 1)))
    assert len(read) == len(set(read)) == 2 * GROUP_BLOCKS
    order(np.array([2 * GROUP_BLOCKS * 3]))
    assert len(order._groups) == 2
    assert len(read) == 3 * GROUP_BLOCKS


def test_shards_that_were_appended_since_do_not_count():
    old = table_of([[5, 5], [5]])
    grown = TableRows(old.blocks, lambda block: np.array([[5, 5], [5, 7]][block]))
    key = EpochKey(1, 0, "")
    assert np.array_equal(
        WindowOrder(grown, 2, key)(np.arange(15)), WindowOrder(old, 2, key)(np.arange(15))
    )


@pytest.mark.parametrize("rows", [[5], [5, 6], [6, 5, 5]])
def test_a_table_of_other_rows_is_refused(rows):
    table = TableRows(table_of([[5, 5]]).blocks, lambda _: np.array(rows))
    with pytest.raises(DatasetError, match=r"block 0 .* of train: .* expected 2 of 10, since data"):
        WindowOrder(table, 2, EpochKey(1, 0, ""))(np.arange(1))


def test_the_largest_window_is_a_whole_group():
    assert MAX_WINDOW_SHARDS == GROUP_BLOCKS * BLOCK_SHARDS
