"""Numbers that a caller gives become plain integers, or are refused by name."""

import numpy as np
import pytest

from pipeline.given_numbers import MAX_NUMBER, whole_number
from schemas.errors import UserError


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.int64(3)])
def test_integers_of_any_kind_become_plain_ones(value: object) -> None:
    found = whole_number("rows", value, 0)
    assert (type(found), found) == (int, 3)


@pytest.mark.parametrize(
    "value", [-1, 8, True, np.True_, 3.0, np.float64(3), "3", None, [3], np.array([3]), 10**30]
)
def test_what_is_no_such_integer_is_refused(value: object) -> None:
    with pytest.raises(UserError, match=r"^rows=.*: expected an integer in 0\.\.7$"):
        whole_number("rows", value, 0, 7)


def test_both_ends_are_allowed() -> None:
    assert whole_number("rows", 0, 0, 0) == 0
    assert whole_number("rows", MAX_NUMBER, 0) == MAX_NUMBER
    with pytest.raises(UserError, match="rows="):
        whole_number("rows", MAX_NUMBER + 1, 0)
