"""Courses: epochs end as they began, whatever rule follows."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders.courses import Course, EpochRule, Window
from pipeline.orders.order import Permutation
from tests.sources import version_of

SMALL, GROWN = version_of("small", [3, 2, 2]), version_of("grown", [3, 2, 2, 4, 1])
RULES = st.builds(
    EpochRule,
    st.sampled_from([SMALL, GROWN]),
    st.integers(1, 3),
    st.sampled_from([None, 1, 2]),
)
CHANGES = st.lists(st.tuples(st.integers(0, 12), RULES), min_size=1, max_size=6)


def course_of(changes: list[tuple[int, EpochRule]]) -> tuple[Course, list[tuple[int, EpochRule]]]:
    """A course, and the same changes as (visit, rule)."""
    course, visit, followed = Course(), 0, []
    for step, (distance, rule) in enumerate(changes):
        visit += distance if step else 0
        course.follow(visit, rule)
        followed.append((visit, rule))
    return course, followed


def expected_rows(followed: list[tuple[int, EpochRule]], stop: int) -> list[int]:
    """Epoch after epoch, each by the rule that was followed last when it began."""
    rows: list[int] = []
    for epoch in itertools.count():
        if len(rows) >= stop:
            return rows[:stop]
        rule = [rule for visit, rule in followed if visit <= len(rows)][-1]
        rows += rule.order(epoch)(np.arange(rule.version.table.num_rows)).tolist()
    raise AssertionError


@given(CHANGES)
def test_an_epoch_follows_the_rule_that_holds_when_it_begins(changes):
    course, followed = course_of(changes)
    found = course.rows(np.arange(100)).tolist()
    assert found == expected_rows(followed, 100)
    assert [int(course.rows(np.array([visit]))[0]) for visit in range(100)] == found


@given(CHANGES)
def test_each_epoch_holds_every_row_of_its_version_once(changes):
    course, _ = course_of(changes)
    for epoch in range(6):
        visits = np.arange(course.visit_of(epoch), course.visit_of(epoch + 1))
        rows = sorted(course.rows(visits).tolist())
        assert rows in (list(range(SMALL.table.num_rows)), list(range(GROWN.table.num_rows)))


def test_what_a_later_change_brings_leaves_earlier_visits_as_they_were():
    one, other = EpochRule(SMALL, 1, None), EpochRule(GROWN, 2, 2)
    course = Course()
    course.follow(0, one)
    before = course.rows(np.arange(14)).tolist()
    course.follow(9, other)
    assert course.rows(np.arange(14)).tolist() == before
    assert course.visit_of(2) == 14
    course.follow(11, one)
    assert course.rows(np.arange(21)).tolist()[:14] == before
    assert (
        course.rows(np.arange(14, 21)).tolist()
        == Permutation(7, 1, 2, "small")(np.arange(7)).tolist()
    )


def test_an_epoch_that_has_not_begun_follows_the_last_rule_that_was_given():
    """100 rows, grown to 150 after 50 visits and to 180 after 60, as in `Course`."""
    course = Course()
    for visit, shards in ((0, [50, 50]), (50, [50] * 3), (60, [60] * 3)):
        course.follow(visit, EpochRule(version_of(str(sum(shards)), shards), 1, None))
    assert [course.visit_of(epoch) for epoch in range(4)] == [0, 100, 280, 460]


def test_a_course_of_which_nothing_was_visited_begins_with_the_last_rule():
    course = Course()
    course.follow(0, EpochRule(SMALL, 1, None))
    course.follow(0, EpochRule(GROWN, 5, None))
    assert (
        course.rows(np.arange(12)).tolist()
        == Permutation(12, 5, 0, "grown")(np.arange(12)).tolist()
    )


def test_no_visits_have_no_rows():
    course = Course()
    course.follow(0, EpochRule(SMALL, 1, None))
    assert course.rows(np.empty(0, np.int64)).tolist() == []


@pytest.mark.parametrize("window_shards", [1, 2, 3])
def test_shards_are_named_to_the_end_of_the_next_epoch(window_shards):
    course = Course()
    course.follow(0, EpochRule(GROWN, 1, window_shards))
    every = {(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)}
    for visit in (0, 5, 11):
        window = course.window(visit)
        assert window is not None
        assert (window.epoch, window.num_shards) == (0, window_shards)
        assert window.start <= visit
        ahead = list(course.shards_ahead(visit))
        assert set(ahead[-5:]) == every
        assert len(set(ahead[:-5])) == len(ahead) - 5
    assert course.window(12) == Window(1, 0, window_shards)


def test_an_epoch_in_global_order_names_no_shards():
    course = Course()
    course.follow(0, EpochRule(SMALL, 1, 2))
    course.follow(3, EpochRule(SMALL, 1, None))
    assert course.window(6) is not None
    assert course.window(7) is None
    assert len(list(course.shards_ahead(0))) == 3
    assert list(course.shards_ahead(7)) == []
