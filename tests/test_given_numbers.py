"""Numbers and truth values that a caller gives become plain ones, or are refused by name."""

import numpy as np
import pytest

from pipeline.given_numbers import MAX_NUMBER, truth_value, whole_number
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


@pytest.mark.parametrize("value", [True, np.True_, False, np.False_])
def test_truth_values_of_any_kind_become_plain_ones(value: object) -> None:
    found = truth_value("drop_last", value)
    assert (type(found), found) == (bool, bool(value))


@pytest.mark.parametrize("value", ["no", "yes", "", 0, 1, None, np.int8(1), [True], np.array(True)])
def test_what_is_no_truth_value_is_refused(value: object) -> None:
    with pytest.raises(UserError, match=r"^drop_last=.*: expected True or False$"):
        truth_value("drop_last", value)


def test_both_ends_are_allowed() -> None:
    assert whole_number("rows", 0, 0, 0) == 0
    assert whole_number("rows", MAX_NUMBER, 0) == MAX_NUMBER
    with pytest.raises(UserError, match="rows="):
        whole_number("rows", MAX_NUMBER + 1, 0)
