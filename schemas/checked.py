"""Plain values of a sealed file -> a dataclass, every leaf checked against its annotation.

Shared by plan, record and manifest, below `schemas/sealed.py`: what a stranger sealed is refused
where it is read, and nothing behind has to doubt a type. Records are parsed by the million.
"""

import dataclasses
import types
import typing
from array import array
from collections.abc import Callable, Collection
from functools import cache
from typing import Annotated, Any, TypeVar

T = TypeVar("T")
_Reader = Callable[[Any], Any]

_MAX_INT = 2**63 - 1
_INT = {int}


@dataclasses.dataclass(frozen=True)
class Limits:
    """Closed interval of an annotated integer; any other lies in [0, 2**63 - 1].

    Those in a `tuple[int, ...]` or a `dict[str, int]` lie in [0, 2**64 - 1].
    """

    low: int
    high: int


Hash64 = Annotated[int, Limits(0, 2**64 - 1)]
PassNumber = Annotated[int, Limits(0, 9999)]


def parse(cls: type[T], mapping: Any) -> T:
    """Inverse of `dataclasses.asdict` after a trip through JSON; keys it does not know are ignored.

    Raises `ValueError` that names the key for a value that does not fit its annotation, and what
    the method `check` of a dataclass raises.
    """
    hint: Any = cls
    parsed: T = _reader(hint)(mapping)
    return parsed


@cache
def _reader(hint: Any) -> _Reader:
    """What turns a plain value into one of type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda value: value
    if hint in (str, bool):
        return _plain_reader(hint)
    if hint is int or origin is Annotated:
        return _int_reader(_limits(hint))
    if origin is types.UnionType or origin is typing.Union:
        inner = _reader(arguments[0])
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        return _tuple_reader(arguments[0])
    if origin is dict:
        return _dict_reader(arguments[1])
    return _dataclass_reader(hint)


def _limits(hint: Any) -> Limits:
    found: Limits = hint.__metadata__[0] if hint is not int else Limits(0, _MAX_INT)
    return found


def _plain_reader(kind: type) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise _unfit(f"a {kind.__name__}", value)
        return value

    return read


def _int_reader(limits: Limits) -> _Reader:
    low, high = limits.low, limits.high

    def read(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise _unfit(f"an integer in {low} .. {high}", value)

    return read


def _tuple_reader(hint: Any) -> _Reader:
    inner, are_numbers = _reader(hint), hint in (int, Hash64)

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _unfit("a list", value)
        if are_numbers:
            _check_numbers(value)
            return tuple(value)
        return tuple(map(inner, value))

    return read


def _dict_reader(hint: Any) -> _Reader:
    inner = _reader(hint)

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _unfit("a section of keys", value)
        if hint is int:
            _check_numbers(value.values())
        if hint is int or hint is Any:
            return value
        name, found = "", {}
        try:
            for name, plain in value.items():
                found[name] = inner(plain)
        except ValueError as error:
            raise ValueError(f"{name:.60}: {error}") from error
        return found

    return read


def _check_numbers(values: Collection[Any]) -> None:
    """Raise `ValueError` unless all are integers of 64 bits without a sign; no loop in Python."""
    try:
        if not values or (set(map(type, values)) == _INT and array("Q", values)):
            return
    except OverflowError:
        pass
    raise _unfit("integers in 0 .. 2**64 - 1", list(values))


def _dataclass_reader(cls: Any) -> _Reader:
    hints = typing.get_type_hints(cls, include_extras=True)
    names = [one.name for one in dataclasses.fields(cls) if one.init]
    readers = [(name, _reader(hints[name])) for name in names]
    check = getattr(cls, "check", None)

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _unfit("a section of keys", value)
        name, found = "", []
        try:
            for name, reader in readers:
                found.append(reader(value[name]))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        parsed = cls(*found)
        if check is not None:
            check(parsed)
        return parsed

    return read


def _unfit(expected: str, value: Any) -> ValueError:
    return ValueError(f"expected {expected}, found {value!r:.60}")
