"""Declaring a configuration key with its bounds; the check itself is in `config.parse_config`."""

import dataclasses
from typing import Any


def bounded(default: Any, low: Any = None, high: Any = None) -> Any:
    """A dataclass field whose value lies in the closed interval [low, high]; None is open."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


def choice(default: str, *choices: str) -> Any:
    """A dataclass field whose value is one of `choices`."""
    return dataclasses.field(default=default, metadata={"choices": choices})
