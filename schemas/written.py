"""Sealed files byte for byte: one that was formatted otherwise is another file, whatever it says.

Used where the bytes of a file are its identity, beside `sealed.py`, which knows what is in it.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

from schemas.errors import DamagedError


class Sealed(Protocol):
    """What is kept as a sealed file."""

    def to_json(self) -> str:
        """The text of its file."""


S = TypeVar("S", bound=Sealed)


def as_written(content: bytes, place: str, parse: Callable[[str, str], S], remedy: str) -> S:
    """What `parse(text, place)` makes of the bytes of a file, raising what it raises.

    `DamagedError` with `remedy` when these are not the bytes that were written: white space, the
    order of keys or keys of others are no part of what `parse` gives.
    """
    found = parse(content.decode("utf-8", "replace"), place)
    with suppress(RecursionError):  # nested deeper than anything of ours
        if found.to_json().encode() == content:
            return found
    raise DamagedError(
        f"{place}: damaged, or not written by this project (expected sealed JSON, found it "
        f"formatted otherwise); {remedy}"
    )
