"""Origins: the windows of a document are its consecutive slices, each in one sample."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.sample_checks.origin_laws import check_origins
from pipeline.sample_checks.row_laws import Samples

COLUMNS = ("rows", "documents", "windows", "starts", "stops")


def samples(*lines: tuple[int, int, int, int, int]) -> Samples:
    """Samples of (row, document, window, start, stop), in the order of the rows."""
    columns = dict(zip(COLUMNS, np.array(lines, np.int64).T, strict=True))
    zeros = np.zeros(len(lines), np.int64)
    places = np.array(
        [[line[0] for line in lines[:n]].count(lines[n][0]) for n in range(len(lines))]
    )
    others = ("firsts", "lengths", "boundaries", "objectives")
    return Samples(places=places, **dict.fromkeys(others, zeros), **columns)


LAWFUL = samples(
    (0, 0, 0, 0, 50), (0, 1, 1, 40, 70), (0, 3, 0, 12, 20), (1, 0, 1, 50, 61), (1, 1, 0, 0, 40)
)


def told(found: Samples) -> list[str]:
    return [str(problem) for problem in check_origins(found)]


def test_windows_follow_each_other_in_whatever_rows_they_are() -> None:
    assert told(LAWFUL) == []
    assert told(LAWFUL.part(np.array([2, 3]))) == []
    assert told(LAWFUL.part(np.arange(0))) == []


@pytest.mark.parametrize("move", [-1, 1])
@pytest.mark.parametrize("column", ["windows", "starts", "stops"])
@pytest.mark.parametrize("index", [0, 1, 3, 4])
def test_neighbours_touch(index: int, column: str, move: int) -> None:
    values = getattr(LAWFUL, column).copy()
    values[index] += move
    if (column, index) in (("starts", 0), ("starts", 4), ("stops", 1), ("stops", 3)):
        return  # the outer ends of documents have no neighbour
    assert told(replace(LAWFUL, **{column: values}))


def test_a_gap_has_room_for_the_windows_that_are_elsewhere() -> None:
    assert told(samples((0, 0, 0, 0, 9), (0, 0, 3, 11, 20))) == []
    assert told(samples((0, 0, 0, 0, 9), (0, 0, 3, 10, 20))) == [
        "row 0, sample 1: window 3 of document 0, tokens [10, 20) and window 0 of document 0, "
        "tokens [0, 9) (row 0): expected one after the other, without a gap between neighbours"
    ]


def test_a_window_is_in_one_sample() -> None:
    assert told(samples((0, 2, 1, 5, 9), (1, 2, 1, 5, 9))) == [
        "row 1, sample 0: window 1 of document 2, tokens [5, 9) and window 1 of document 2, "
        "tokens [5, 9) (row 0): expected one after the other, without a gap between neighbours"
    ]


def test_samples_of_a_row_stand_in_the_order_of_the_corpus() -> None:
    assert told(samples((4, 2, 0, 0, 9), (4, 1, 3, 5, 9))) == [
        "row 4, sample 1: window 3 of document 1, tokens [5, 9) behind window 0 of document 2, "
        "tokens [0, 9): expected the order of the corpus"
    ]


def test_no_window_begins_before_those_in_front_of_it_can_end() -> None:
    assert told(samples((0, 0, 3, 2, 9))) == [
        "row 0, sample 0: window 3 of document 0, tokens [2, 9): expected a token at least in each "
        "window before it"
    ]
