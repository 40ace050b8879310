"""State of a stream: how many rows were consumed, and what was mixed from which row on.

Stands between `RowStream` and the checkpoint that keeps the state; plain values only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.given_numbers import MAX_NUMBER
from pipeline.mixture import period_counts
from pipeline.orders.order_names import GLOBAL, window_shards_of
from schemas.errors import DatasetError

State = dict[str, Any]

_STATE_KEYS = {"consumed_rows", "segments"}
_SEGMENT_KEYS = {"first_row", "datasets", "seed", "order", "grown_from"}
_NEEDED_KEYS = _SEGMENT_KEYS - {"order", "grown_from"}


@dataclass(frozen=True)
class Segment:
    """What is mixed from row `first_row` of the stream on: digest -> weight, in order of digest,
    the seed of the orders and the name of the order (`order_names.py`).

    `grown_from` leads from the digest of a data set that has grown to that of its first version,
    where it is known.
    """

    first_row: int
    datasets: dict[str, float]
    seed: int
    order: str
    grown_from: dict[str, str] = field(default_factory=dict)

    @property
    def shares(self) -> list[int]:
        """How often each data set occurs in one period of the mixture."""
        return period_counts(list(self.datasets.values()))


def write_state(consumed_rows: int, segments: Sequence[Segment]) -> State:
    """The state of a stream that consumed `consumed_rows` rows of what `segments` mix."""
    return {"consumed_rows": consumed_rows, "segments": [_written(one) for one in segments]}


def _written(segment: Segment) -> dict[str, Any]:
    content: dict[str, Any] = {
        "first_row": segment.first_row,
        "datasets": dict(segment.datasets),
        "seed": segment.seed,
        "order": segment.order,
    }
    grown = dict(segment.grown_from)
    return content | {"grown_from": grown} if grown else content


def read_state(state: State) -> tuple[int, tuple[Segment, ...]]:
    """Rows consumed in `state`, and its segments; `DatasetError` for what is no state.

    Segments begin at row 0 and at ascending rows, of which the last may lie ahead of what was
    consumed. One without an order is global.
    """
    try:
        _check_keys(state, _STATE_KEYS, _STATE_KEYS)
        consumed = _number(state["consumed_rows"])
        segments = tuple(read_segment(found) for found in state["segments"])
        _check_first_rows([segment.first_row for segment in segments])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(
            f"not a state of a stream ({error}): {_shown(state)}; give what `state()` returned"
        ) from error
    return consumed, segments


def _shown(state: object) -> str:
    try:
        return f"{state!r:.500}"
    except ValueError:  # Python writes no integer of thousands of digits
        return f"a {type(state).__name__} with a number that is too long to be shown"


def read_segment(found: dict[str, Any]) -> Segment:
    """A segment of a state; `ValueError`, `KeyError` or `TypeError` for what is none."""
    _check_keys(found, _SEGMENT_KEYS, _NEEDED_KEYS)
    order = found.get("order", GLOBAL)
    window_shards_of(order)
    weights = _read_weights(found["datasets"])
    first_row, seed = _number(found["first_row"]), _number(found["seed"])
    return Segment(first_row, weights, seed, order, _read_grown(found, weights))


def _read_weights(found: object) -> dict[str, float]:
    if not isinstance(found, dict):
        raise ValueError(f"datasets {found!r:.80}: expected {{digest: weight}}")
    weights = {_digest(name): _plain(found[name]) for name in sorted(found)}
    for digest, weight in weights.items():
        if not weight:
            raise ValueError(
                f"weight {weight!r:.80} of data set {digest[:12]}: expected a number above 0"
            )
    period_counts(list(weights.values()))  # refuses what are no shares
    return weights


def _plain(weight: Any) -> Any:
    """A number of NumPy as that of Python, which JSON takes."""
    return weight.item() if isinstance(weight, np.generic) else weight


def _read_grown(found: dict[str, Any], weights: dict[str, float]) -> dict[str, str]:
    grown = found.get("grown_from", {})
    if not isinstance(grown, dict) or not grown.keys() <= weights.keys():
        raise ValueError(f"grown_from {grown!r:.80}: expected {{digest: digest}} of its data sets")
    return {digest: _digest(first) for digest, first in sorted(grown.items())}


def _check_first_rows(firsts: Sequence[int]) -> None:
    if not firsts:
        raise ValueError("no segments, expected at least one")
    if firsts[0]:
        raise ValueError(f"the first segment begins at row {firsts[0]}, expected 0")
    for number, (before, first) in enumerate(pairwise(firsts), start=2):
        if first <= before:
            raise ValueError(
                f"segment {number} begins at row {first}, expected one behind row {before}, at "
                "which the one before it begins"
            )


def _check_keys(found: object, known: set[str], needed: set[str]) -> None:
    keys = set(found) if isinstance(found, dict) else set()
    if not needed <= keys <= known:
        raise ValueError(f"expected the keys {sorted(known)} in {found!r:.80}")


def _digest(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"data set {name!r:.80}: expected a digest")
    return name


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_NUMBER:
        raise ValueError(f"{value!r:.80}: expected an integer in 0..{MAX_NUMBER}")
    return value
