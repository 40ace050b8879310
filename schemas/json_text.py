"""Dataclasses -> plain values -> indented JSON text, for the sealed files.

Below `schemas/sealed.py`. A manifest of ten billion rows has thirty thousand values and is written
once more whenever it is read: `dataclasses.asdict` copies each of them, and `json.dumps` leaves
the standard library's fast encoder as soon as it indents.
"""

import dataclasses
import json
from collections.abc import Hashable
from functools import cache
from json.encoder import encode_basestring
from typing import Any, cast

_other = json.JSONEncoder(ensure_ascii=False).encode


def fields_of(instance: Any) -> dict[str, Any]:
    """Values of a dataclass by field, not copied; `TypeError` for anything else."""
    names = _names(cast(Hashable, type(instance)))
    return {name: getattr(instance, name) for name in names}


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def plain(value: Any) -> Any:
    """`value` as it comes back from JSON: dataclasses are dicts at any depth, and tuples lists."""
    return json.loads(json.dumps(value, default=fields_of))


def indented(value: Any, newline: str = "\n") -> str:
    """`json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)` of a value from JSON.

    Twice as fast; `newline` ends with the spaces of the line that the value begins on.
    """
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is int:
        return repr(value)
    if not value or (kind is not dict and kind is not list):
        return _other(value)
    inner = newline + " "
    if kind is list:
        return f"[{inner}{f',{inner}'.join([indented(one, inner) for one in value])}{newline}]"
    items = sorted(value.items())
    lines = [f"{encode_basestring(key)}: {indented(one, inner)}" for key, one in items]
    return f"{{{inner}{f',{inner}'.join(lines)}{newline}}}"
