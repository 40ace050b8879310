"""Visits: what is mixed may change at any row, and no row is repeated or lost."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders.visits import Visits
from schemas.errors import DatasetError
from tests.sources import GivenVersions, pairs, segment, version_of

SHARDS = {"a": [3, 4], "b": [2, 2, 1], "c": [1]}
GROWN = version_of("d", [3, 4, 5])
SOURCES = [
    GivenVersions(version_of("a", SHARDS["a"]), GROWN),
    GivenVersions(version_of("b", SHARDS["b"])),
    GivenVersions(version_of("c", SHARDS["c"])),
]
OWNER = {"a": 0, "d": 0, "b": 1, "c": 2}
WEIGHTS = st.integers(1, 5).map(float)
MIXTURES = st.dictionaries(st.sampled_from("abc"), WEIGHTS, min_size=1)
STOP = 80


def history(parts):
    """Segments at the ends of `parts` (rows, weights, seed, order); data set a grows on the way."""
    segments, first_row, has_grown = [], 0, False
    for rows, weights, seed, order, grows in parts:
        has_grown |= grows
        named = {"d" if d == "a" and has_grown else d: w for d, w in weights.items()}
        segments.append(segment(first_row, named, seed, order))
        first_row += rows
    return segments


HISTORIES = st.lists(
    st.tuples(
        st.integers(1, 25),
        MIXTURES,
        st.integers(1, 3),
        st.sampled_from(["global", "windowed/1", "windowed/2"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
).map(history)


def visited(found, source):
    return [row for number, row in found if number == source]


def epochs_of(segments, found, source):
    """The rows of each epoch of a data set that has begun; its version is that of the last segment
    that mixed it before the epoch began. The last ones may be empty, and not whole."""
    rows, epochs, start = visited(found, source), [], 0
    mixed = [
        (len(visited(found[: one.first_row], source)), digest)
        for one in segments
        for digest in one.datasets
        if OWNER[digest] == source and one.first_row <= len(found)
    ]
    while mixed and start <= len(rows):
        digest = [digest for before, digest in mixed if before <= start][-1]
        size = SOURCES[source].find(digest).table.num_rows
        epochs.append((size, rows[start : start + size]))
        start += size
    return epochs


@given(HISTORIES)
def test_changes_of_the_mixture_neither_repeat_nor_lose_a_row_of_an_epoch(segments):
    found = pairs(Visits(segments, SOURCES), 0, STOP)
    for source in range(len(SOURCES)):
        for size, rows in epochs_of(segments, found, source):
            assert len(set(rows)) == len(rows)
            assert set(rows) <= set(range(size))


@given(HISTORIES)
def test_rows_that_were_appended_join_at_the_next_epoch(segments):
    found = pairs(Visits(segments, SOURCES), 0, STOP)
    joined = [one.first_row for one in segments if "d" in one.datasets]
    before = visited(found[: joined[0] if joined else STOP], 0)
    epoch_end = -(-len(before) // 7) * 7
    rows = visited(found, 0)
    assert max(rows[:epoch_end], default=0) < 7
    if joined and len(rows) >= epoch_end + 12:
        assert sorted(rows[epoch_end : epoch_end + 12]) == list(range(12))


@given(HISTORIES)
def test_every_prefix_of_every_segment_holds_each_data_set_within_one_row(segments):
    found = [number for number, _ in pairs(Visits(segments, SOURCES), 0, STOP)]
    ends = [*(one.first_row for one in segments[1:]), STOP]
    for one, stop in zip(segments, ends, strict=True):
        inside, total = np.array(found[one.first_row : stop], int), sum(one.datasets.values())
        for digest, weight in one.datasets.items():
            counts = np.cumsum(inside == OWNER[digest])
            exact = np.arange(1, len(inside) + 1) * weight / total
            assert np.abs(counts - exact).max(initial=0) < 1


@given(HISTORIES, st.data())
def test_the_visit_at_an_index_depends_on_the_history_alone(segments, data):
    visits = Visits(segments, SOURCES)
    found = pairs(visits, 0, STOP)
    places = sorted(data.draw(st.lists(st.integers(0, STOP - 1), max_size=20)))
    numbers, rows = visits.rows(np.array(places, np.int64))
    assert list(zip(numbers.tolist(), rows.tolist(), strict=True)) == [found[i] for i in places]
    for kept in range(1, len(segments)):
        stop = min(STOP, segments[kept].first_row)
        assert pairs(Visits(segments[:kept], SOURCES), 0, stop) == found[:stop]


@given(HISTORIES, st.integers(1, 4))
def test_a_stream_ends_before_a_data_set_of_the_last_segment_begins_one_epoch_more(
    segments, epochs
):
    total, first_row = Visits(segments, SOURCES).total(epochs), segments[-1].first_row
    found = pairs(Visits(segments, SOURCES), 0, total + 1)

    def begun(stop):
        return max(
            sum(len(rows) > 0 for _, rows in epochs_of(segments, found[:stop], OWNER[digest]))
            for digest in segments[-1].datasets
        )

    assert total >= first_row
    assert total == first_row or begun(total) <= epochs
    assert begun(total + 1) > epochs


def test_a_data_set_that_was_left_out_goes_on_where_it_was():
    parts = [{"a": 1.0, "b": 1.0}, {"a": 1.0}, {"b": 1.0}]
    segments = [segment(6 * n, weights) for n, weights in enumerate(parts)]
    alone = pairs(Visits([segment(0, {"b": 1.0})], SOURCES), 0, 10)
    assert visited(pairs(Visits(segments, SOURCES), 0, 19), 1) == [row for _, row in alone]


def test_data_sets_that_are_not_given_take_their_places_only():
    segments = [segment(0, {"a": 1.0, "x": 1.0}), segment(10, {"a": 1.0})]
    visits = Visits(segments, SOURCES)
    known = GivenVersions(version_of("x", [9]))
    assert pairs(visits, 10, 40) == pairs(Visits(segments, [*SOURCES, known]), 10, 40)
    visits.check_given(10)
    with pytest.raises(DatasetError, match="from row 0 on mixes data set x, which is not given"):
        visits.check_given(9)


def test_two_versions_of_a_data_set_in_one_segment_are_refused():
    with pytest.raises(
        DatasetError, match="from row 0 on mixes two versions of one data set: a, d"
    ):
        Visits([segment(0, {"a": 1.0, "d": 1.0})], SOURCES)


def test_of_two_data_sets_the_one_that_is_named_is_taken_before_one_that_has_grown_from_it():
    first, second = version_of("a", [3, 1]), version_of("b", [3, 1])
    sources = [GivenVersions(first, version_of("c", [3, 1, 2])), GivenVersions(second, first)]
    assert {number for number, _ in pairs(Visits([segment(0, {"a": 1.0})], sources), 0, 9)} == {1}


def changes(values):
    """`values`, each run of equal ones as one."""
    return [value for value, _ in itertools.groupby(values)]


def test_windows_are_named_before_they_are_needed():
    segments = [
        segment(0, {"a": 1.0}),
        segment(5, {"a": 2.0, "b": 1.0}, order="windowed/1"),
    ]
    visits = Visits(segments, SOURCES)
    assert visits.ahead(0) == []
    found = pairs(visits, 0, 80)
    shard_of = {0: [0] * 3 + [1] * 4, 1: [0, 0, 1, 1, 2]}
    for index in range(5, 40):
        is_begun = len(visited(found[:index], 0)) >= 7  # the first epoch of a stays global
        told = {coming.source: coming.shards for coming in visits.ahead(index)}
        assert set(told) == ({0, 1} if is_begun else {1})
        for source, shards in told.items():
            named = changes(shard for _, shard in shards)
            needed = changes(shard_of[source][row] for row in visited(found[index:], source))
            compared = min(len(named), len(needed))
            assert compared >= 2
            assert needed[:compared] == named[:compared]


def test_an_index_far_away_costs_no_more():
    visits = Visits([segment(0, {"a": 1.0, "b": 2.0})], SOURCES)
    numbers, rows = visits.rows(np.arange(2**62 - 10, 2**62 - 1))
    assert set(numbers.tolist()) == {0, 1}
    assert rows.min() >= 0
