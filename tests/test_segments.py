"""States: what they record, what is refused, and how a stream goes on from one."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.given_numbers import MAX_NUMBER
from pipeline.orders.continued import continued
from pipeline.orders.segments import read_state, write_state
from schemas.errors import DatasetError
from tests.sources import segment

FIRST = segment(0, {"a": 2.0, "b": 1.0})
SECOND = segment(50, {"a": 1.0}, seed=3, order="windowed/4")
DIGESTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9).map(float), min_size=1)
SEGMENTS = st.lists(
    st.builds(
        segment,
        st.integers(1, MAX_NUMBER),
        DIGESTS,
        st.integers(0, MAX_NUMBER),
        st.sampled_from(["global", "windowed/1", "windowed/64"]),
    ),
    max_size=4,
    unique_by=lambda one: one.first_row,
).map(lambda found: (FIRST, *sorted(found, key=lambda one: one.first_row)))


def with_segment(**changes):
    return {"consumed_rows": 1, "segments": [write_state(1, [FIRST])["segments"][0] | changes]}


@given(SEGMENTS, st.integers(0, MAX_NUMBER))
def test_a_state_survives_json_with_its_keys_in_any_order(segments, consumed):
    text = json.dumps(write_state(consumed, segments), sort_keys=True)
    assert read_state(json.loads(text)) == (consumed, segments)


def test_a_segment_without_an_order_is_global():
    state = {
        "consumed_rows": 7,
        "segments": [{"first_row": 0, "datasets": {"b": 1, "a": 2}, "seed": 1}],
    }
    assert read_state(state) == (7, (FIRST,))
    assert list(read_state(state)[1][0].datasets) == ["a", "b"]


def test_a_number_that_python_does_not_write_is_refused():
    with pytest.raises(DatasetError, match="a dict with a number that is too long to be shown"):
        read_state({"consumed_rows": 10**5000, "segments": []})


def test_numbers_of_numpy_become_plain():
    weights = {"a": np.int64(2), "b": np.float32(1)}
    consumed, segments = read_state(with_segment(datasets=weights))
    assert read_state(json.loads(json.dumps(write_state(consumed, segments)))) == (1, (FIRST,))


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({}, "expected the keys"),
        ([], "expected the keys"),
        ("state", "expected the keys"),
        (None, "expected the keys"),
        ({"consumed_rows": 1, "segments": []}, "no segments, expected at least one"),
        ({"consumed_rows": 1, "segments": None}, "not iterable"),
        ({"consumed_rows": 1, "segments": [3]}, "expected the keys"),
        ({"consumed_rows": -1, "segments": []}, "-1: expected an integer"),
        ({"consumed_rows": True, "segments": []}, "True: expected an integer"),
        (with_segment(first_row=1), "the first segment begins at row 1, expected 0"),
        (with_segment(first_row=0.0), r"0\.0: expected an integer"),
        (with_segment(seed="1"), "'1': expected an integer"),
        (with_segment(datasets={}), r"weights \[\]"),
        (with_segment(datasets=["a"]), r"datasets \['a'\]: expected \{digest: weight\}"),
        (with_segment(datasets=None), "datasets None: expected"),
        (with_segment(datasets={"a": 1, "b": 0}), "weight 0 of data set b: expected a number ab"),
        (with_segment(datasets={"a": 1, "b": ""}), "weight '' of data set b: expected a number"),
        (with_segment(datasets={"a": "1"}), "weight '1'"),
        (with_segment(datasets={"a": float("inf")}), "weight inf"),
        (with_segment(datasets={"a": 1, "b": 1e-9}), "would never be chosen"),
        (with_segment(datasets={1: 1}), "data set 1: expected a digest"),
        (with_segment(order="shuffled"), "order 'shuffled': expected 'global' or"),
        (with_segment(order=None), "order None: expected"),
        (with_segment(shards=3), "expected the keys"),
        (write_state(1, [FIRST, FIRST]), "segment 2 begins at row 0, expected one behind row 0,"),
        (write_state(1, [FIRST, SECOND, FIRST]), "segment 3 .* row 0, expected one behind row 50"),
    ],
)
def test_what_is_no_state_is_refused(state, named):
    with pytest.raises(DatasetError, match=rf"not a state of a stream \(.*{named}"):
        read_state(state)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def mutated(state, data):
    """`state` with one value, at any depth, replaced or left out."""
    copy = json.loads(json.dumps(state))
    place = copy
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(JSON)
    return copy


@given(SEGMENTS, st.data())
def test_a_changed_state_is_a_state_or_refused(segments, data):
    try:
        consumed, found = read_state(mutated(write_state(5, segments), data))
    except DatasetError:
        return
    assert read_state(write_state(consumed, found)) == (consumed, found)


def test_the_same_mixture_goes_on_as_recorded():
    same = segment(0, {"a": 20.0, "b": 10.0})
    assert continued([FIRST], 9, same, {}, False) == (FIRST,)
    assert continued([FIRST], 9, same, {}, True) == (FIRST,)


@pytest.mark.parametrize(
    ("wanted", "grown", "named"),
    [
        (
            segment(0, {"a": 2, "b": 1}, seed=2),
            {},
            r"mixture: seed 1 in the state, 2 here; resume with .* and order .* \(seed=1\), or",
        ),
        (
            segment(0, {"a": 2, "b": 1}, order="windowed/2"),
            {},
            "mixture: order='global' in the state, order='windowed', window_shards=2 here; resume "
            r"with .* \(order='global'\), or",
        ),
        (
            segment(0, {"a": 1, "b": 1}),
            {},
            "weights make data set a 2/3 of the rows in the state, 1/2 given; weights make data "
            "set b 1/3 of the rows in the state, 1/2 given; resume with the data sets, weights, "
            "seed and order it was saved with, or",
        ),
        (segment(0, {"a": 1}), {}, "data set b is not given; resume"),
        (segment(0, {"a": 1, "b": 1, "c": 1}), {}, "another mixture: data set c is new; resume"),
        (segment(0, {"a": 2, "c": 1}), {"b": "c"}, "mixture: data set b has grown and is c now; r"),
    ],
)
def test_another_mixture_is_refused_unless_it_is_a_change(wanted, grown, named):
    with pytest.raises(DatasetError, match=f"{named}.*change=True .`train --change-data`. mix"):
        continued([FIRST], 9, wanted, grown, False)
    assert [one.first_row for one in continued([FIRST], 9, wanted, grown, True)] == [0, 9]
    assert continued([FIRST], 9, wanted, grown, True)[1].datasets == wanted.datasets


def test_the_order_and_seed_of_a_state_are_named_as_arguments():
    with pytest.raises(DatasetError) as raised:
        continued([SECOND], 60, segment(0, {"a": 1.0}), {}, False)
    assert "order='windowed', window_shards=4 in the state, order='global' here" in str(
        raised.value
    )
    assert " (seed=3, order='windowed', window_shards=4), or with change=True" in str(raised.value)


def test_weights_are_named_where_they_differ_by_the_beginning_of_a_digest():
    digests = [f"{number:064x}"[::-1] for number in range(500)]
    old = segment(0, dict.fromkeys(digests, 1.0))
    new = segment(0, old.datasets | {digests[3]: 1.5, digests[5]: 0.5})
    first, second = sorted((digests[3][:12], digests[5][:12]))
    told = rf"data set {first} 1/500 of .* data set {second} 1/500 of the rows in [^;]*; resume"
    with pytest.raises(DatasetError, match=told) as raised:
        continued([old], 9, new, {}, False)
    assert digests[3][:13] not in str(raised.value)
    with pytest.raises(DatasetError, match="; and 497 more; resume") as raised:
        continued([old], 9, segment(0, old.datasets | {digests[3]: 1.5}), {}, False)
    assert len(str(raised.value)) < 800
    with pytest.raises(DatasetError) as raised:
        continued(
            [segment(0, {"a": 1, "b": 1, "c": 2})],
            9,
            segment(0, {"a": 1, "b": 2, "c": 1}),
            {},
            False,
        )
    assert "data set a" not in str(raised.value)


def test_many_data_sets_that_are_missing_or_new_are_counted():
    old = segment(0, dict.fromkeys("abcdefgh", 1.0))
    new = segment(0, dict.fromkeys("ahijklm", 1.0))
    expected = (
        "mixture: data set b is not given; data set c is not given; data set d is not given; and 3 "
        "more; data set i is new; data set j is new; data set k is new; and 2 more; resume"
    )
    with pytest.raises(DatasetError, match=expected):
        continued([old], 9, new, {}, False)


def test_an_error_over_many_segments_is_short():
    many = [segment(row, {"a": 1.0}) for row in (0, 2, 1, *range(3, 20_001))]
    with pytest.raises(DatasetError, match="segment 3 begins at row 1, expected one beh") as raised:
        read_state(write_state(1, many))
    assert len(str(raised.value)) < 1000


def test_a_segment_of_which_nothing_was_consumed_is_replaced():
    third = segment(0, {"c": 1.0})
    at = segment(50, {"c": 1.0})
    assert continued([FIRST, SECOND], 50, third, {}, True) == (FIRST, at)
    assert continued([FIRST, SECOND], 50, FIRST, {}, True) == (FIRST,)
    assert continued([FIRST], 0, third, {}, True) == (third,)
    assert continued([FIRST, SECOND], 20, third, {}, True) == (FIRST, segment(20, {"c": 1.0}))


def test_a_segment_that_lies_ahead_begins_at_once_where_it_is_wanted():
    at = segment(20, {"a": 1.0}, seed=3, order="windowed/4")
    assert continued([FIRST, SECOND], 20, SECOND, {}, True) == (FIRST, at)
    assert continued([FIRST, SECOND], 20, FIRST, {}, True) == (FIRST,)


def test_a_state_in_an_older_segment_follows_the_later_ones():
    assert continued([FIRST, SECOND], 20, SECOND, {}, False) == (FIRST, SECOND)
