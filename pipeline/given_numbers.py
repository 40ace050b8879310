"""Numbers and truth values that a caller gives: checked at the door, and plain from there on.

Used by the arguments of `RowStream`. A state must hold nothing that JSON cannot.
"""

import numpy as np

from schemas.errors import UserError

MAX_NUMBER = (1 << 62) - 1
"""Largest number of rows that can be consumed, and of anything else that is counted here."""


def whole_number(name: str, value: object, low: int, high: int = MAX_NUMBER) -> int:
    """`value` as `int`, an integer of Python or NumPy in [low, high].

    `UserError` with its name for anything else.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
        if low <= number <= high:
            return number
    raise UserError(f"{name}={value!r}: expected an integer in {low}..{high}")


def truth_value(name: str, value: object) -> bool:
    """`value` as `bool`, a truth value of Python or NumPy; `UserError` with its name for anything
    else, "no" and 0 too."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise UserError(f"{name}={value!r:.80}: expected True or False")


def is_real(value: object) -> bool:
    """Whether `value` is a real number of Python or NumPy, which `float` takes; truth values and
    times are none."""
    is_number = isinstance(value, float | int | np.floating | np.integer)
    return is_number and not isinstance(value, bool | np.timedelta64)
