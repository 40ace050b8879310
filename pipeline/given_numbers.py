"""Numbers that a caller gives: checked at the door, and plain integers from there on.

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


def is_real(value: object) -> bool:
    """Whether `value` is a real number of Python or NumPy, which `float` takes; truth values and
    times are none."""
    is_number = isinstance(value, float | int | np.floating | np.integer)
    return is_number and not isinstance(value, bool | np.timedelta64)
