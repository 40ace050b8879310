"""A map with several calls under way: in order, reading ahead a little, passing errors on."""

import time
from collections.abc import Iterator

import pytest

from pipeline.ordered_map import ordered_map


@pytest.mark.parametrize("threads", [1, 3, 32])
def test_results_come_in_order_whatever_takes_longest(threads: int) -> None:
    def slow(number: int) -> int:
        time.sleep((number % 3) * 0.002)
        return -number

    assert list(ordered_map(slow, range(40), threads)) == [-number for number in range(40)]


@pytest.mark.parametrize("threads", [1, 4])
def test_it_reads_ahead_a_bounded_number(threads: int) -> None:
    taken = 0

    def things() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    found = ordered_map(lambda thing: thing, things(), threads)
    next(found)
    assert taken <= 2 * threads


@pytest.mark.parametrize("threads", [1, 4])
def test_the_first_error_is_raised_in_its_place(threads: int) -> None:
    found = ordered_map(lambda number: 1 // (3 - number), range(9), threads)
    assert [next(found) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
