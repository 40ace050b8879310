"""Configuration: defaults < preset < `section.key=value`, checked on entry, frozen afterwards.

Stands before the plan: its build section becomes the recipe, its model and train sections the run.
The dataclasses are in `build_config.py`, `model_config.py` and `train_config.py`; here is the one
way of filling them.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from schemas.build_config import BuildConfig
from schemas.card_config import CardInfo
from schemas.errors import ConfigError
from schemas.model_config import ModelConfig
from schemas.train_config import TrainConfig

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a preset says; `build` decides bytes, `model` and `train` decide a run, `card` is
    what a person says of a data set."""

    build: BuildConfig = dataclasses.field(default_factory=BuildConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    card: CardInfo = dataclasses.field(default_factory=CardInfo)


def load_config(
    preset: Path | None, overrides: Sequence[str] = (), shipped: Path | None = None
) -> Config:
    """Defaults, then the preset file, then each `section.key=value` in turn.

    `shipped` is a folder of presets that a preset elsewhere can extend, too.

    Raises `ConfigError` naming the file or the override, the key, and the nearest known key.
    """
    mapping: dict[str, Any] = {}
    if preset is not None:
        mapping = read_preset(preset, shipped)
    config = parse_config(Config, mapping, str(preset))
    for override in overrides:
        mapping = _with_override(to_mapping(config), override)
        config = parse_config(Config, mapping, f"override '{override}'")
    for check in (config.build.check, config.model.check, config.train.check):
        check()
    return config


def read_toml(path: Path) -> dict[str, Any]:
    """The TOML file at `path` as nested dicts; `ConfigError` when it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def read_preset(
    path: Path, shipped: Path | None = None, seen: tuple[Path, ...] = ()
) -> dict[str, Any]:
    """The preset at `path` over the one it `extends`: one of the same folder, or of `shipped`.

    Keys are merged section by section; a preset that has objectives has no others than its own.
    """
    mapping = read_toml(path)
    name = mapping.pop("extends", None)
    if name is None:
        return mapping
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name):
        raise ConfigError(f"{path}: extends = {name!r}: expected the name of a preset beside it")
    places = [folder / f"{name}.toml" for folder in (path.parent, shipped) if folder is not None]
    base = next((place for place in places if place.exists()), None)
    if base is None:
        looked = " and ".join(str(place.parent) for place in places)
        raise ConfigError(f"{path}: extends '{name}', but there is no {name}.toml in {looked}")
    if base in (*seen, path):
        raise ConfigError(f"{path}: extends '{name}', which extends it in turn")
    below = read_preset(base, shipped, (*seen, path))
    build = mapping.get("build", {})
    if isinstance(build, dict) and "objective" in build:
        below.get("build", {}).pop("objective", None)
    return _merged(below, mapping)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def parse_config(cls: type[T], mapping: Mapping[str, Any], place: str, path: str = "") -> T:
    """Build dataclass `cls` from nested dicts, checking keys, types and the bounds in metadata."""
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cast(Any, cls))}
    unknown = [key for key in mapping if key not in fields]
    if unknown:
        raise ConfigError(_unknown_key(place, path, unknown[0], list(fields)))
    required = [name for name, field in fields.items() if _is_required(field)]
    missing = [name for name in required if name not in mapping]
    if missing:
        raise ConfigError(f"{place} [{path}]: lacks the key '{missing[0]}'")
    values = {}
    for key, value in mapping.items():
        where = f"{path}.{key}" if path else key
        values[key] = _coerce(value, hints[key], place, where)
        _check_bounds(values[key], fields[key].metadata, place, where)
    return cls(**values)


def to_mapping(config: Any) -> dict[str, Any]:
    """Nested dicts of plain values; `parse_config` is its inverse."""
    return cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config))))


def digest(mapping: Any) -> str:
    """Hex SHA-256 of the canonical JSON (sorted keys, no spaces) of `mapping`."""
    text = json.dumps(mapping, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differing_keys(left: Any, right: Any, path: str = "") -> list[str]:
    """Dotted keys whose values differ between two nested dicts, sorted, as `key: old -> new`."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        return [
            line
            for key in keys
            for line in differing_keys(left.get(key), right.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if left == right else [f"{path}: {left!r} -> {right!r}"]


def to_toml(mapping: Mapping[str, Any], path: str = "") -> str:
    """`mapping` as TOML text: scalars first, then one table for each nested dict."""
    scalars = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in mapping.items()
        if not isinstance(value, dict)
    ]
    text = "\n".join(([f"[{path}]"] if path and scalars else []) + scalars)
    tables = [
        to_toml(value, f"{path}.{key}".lstrip("."))
        for key, value in mapping.items()
        if isinstance(value, dict)
    ]
    return "\n\n".join(part for part in [text, *tables] if part)


def _with_override(mapping: dict[str, Any], override: str) -> dict[str, Any]:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            f"override '{override}': expected section.key=value, such as build.seed=7"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, name = key.split(".")
    table = mapping
    for depth, section in enumerate(sections):
        if not isinstance(table.get(section, {}), dict):
            where = ".".join(sections[: depth + 1])
            raise ConfigError(f"override '{override}': '{where}' is a value, not a section")
        table = table.setdefault(section, {})
    table[name] = value
    return mapping


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _unknown_key(place: str, path: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
    section = f" [{path}]" if path else ""
    return f"{place}{section}: unknown key '{key}'; {hint}"


def _coerce(value: Any, hint: Any, place: str, where: str) -> Any:
    """`value` as type `hint`; only int -> float is converted, everything else must match."""
    origin = typing.get_origin(hint)
    if origin in (dict, types.MappingProxyType) and isinstance(value, Mapping):
        inner = typing.get_args(hint)[1]
        return {key: _coerce(item, inner, place, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return parse_config(cast(type[Any], hint), value, place, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = origin or hint
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        kind = "a section of keys" if dataclasses.is_dataclass(hint) else f"of type {hint.__name__}"
        raise ConfigError(
            f"{place}: '{where}' must be {kind}, not {type(value).__name__} ({value!r})"
        )
    return value


def _check_bounds(value: Any, metadata: Mapping[str, Any], place: str, where: str) -> None:
    choices = metadata.get("choices")
    if choices and value not in choices:
        raise ConfigError(f"{place}: '{where}' is {value!r}; choose from {', '.join(choices)}")
    low, high = metadata.get("low"), metadata.get("high")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{place}: '{where}' is {value!r}; it must be a finite number")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        bounds = f"{'' if low is None else low} .. {'' if high is None else high}"
        raise ConfigError(f"{place}: '{where}' is {value!r}; it must lie in {bounds}")
