"""State of a stream: how many rows were consumed, and what was mixed from which row on.

Stands between `RowStream` and the checkpoint that keeps the state; plain values only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from pipeline.given_numbers import MAX_NUMBER
from pipeline.mixture import period_counts
from pipeline.orders.order_names import GLOBAL, order_arguments, window_shards_of
from schemas.errors import DatasetError

State = dict[str, Any]

_STATE_KEYS = {"consumed_rows", "segments"}
_SEGMENT_KEYS = {"first_row", "datasets", "seed", "order"}

_MOST_NAMED = 3
"""Data sets of one kind that a message names, and says how many more there are."""


@dataclass(frozen=True)
class Segment:
    """What is mixed from row `first_row` of the stream on: digest -> weight, in order of digest,
    the seed of the orders and the name of the order (`order_names.py`)."""

    first_row: int
    datasets: dict[str, float]
    seed: int
    order: str

    @property
    def shares(self) -> list[int]:
        """How often each data set occurs in one period of the mixture."""
        return period_counts(list(self.datasets.values()))


def write_state(consumed_rows: int, segments: Sequence[Segment]) -> State:
    """The state of a stream that consumed `consumed_rows` rows of what `segments` mix."""
    mixed = [
        {
            "first_row": segment.first_row,
            "datasets": dict(segment.datasets),
            "seed": segment.seed,
            "order": segment.order,
        }
        for segment in segments
    ]
    return {"consumed_rows": consumed_rows, "segments": mixed}


def read_state(state: State) -> tuple[int, tuple[Segment, ...]]:
    """Rows consumed in `state`, and its segments; `DatasetError` for what is no state.

    Segments begin at row 0 and at ascending rows, of which the last may lie ahead of what was
    consumed. One without an order is global.
    """
    try:
        _check_keys(state, _STATE_KEYS, _STATE_KEYS)
        consumed = _number(state["consumed_rows"])
        segments = tuple(_read_segment(found) for found in state["segments"])
        _check_first_rows([segment.first_row for segment in segments])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(
            f"not a state of a stream ({error}): {state!r:.500}; give what `state()` returned"
        ) from error
    return consumed, segments


def continued(
    segments: Sequence[Segment],
    consumed_rows: int,
    wanted: Segment,
    grown: Mapping[str, str],
    is_change: bool,
) -> tuple[Segment, ...]:
    """`segments` where the last one mixes what is `wanted`; `DatasetError`, which names the
    differences, where it mixes otherwise.

    With `is_change` those of which rows were consumed, followed from `consumed_rows` on by `wanted`
    where the last of these mixes otherwise; segments that lie ahead are replaced. `grown` leads
    from an earlier version's digest to the present one. Weights are compared as shares of their
    sum, so that 1 : 2 continues 10 : 20.
    """
    if not is_change:
        _check_same(segments[-1], wanted, grown, consumed_rows)
        return tuple(segments)
    kept = [segment for segment in segments if segment.first_row < consumed_rows]
    if kept and not list(_differences(kept[-1], wanted, grown)):
        return tuple(kept)
    return (*kept, replace(wanted, first_row=consumed_rows))


def _check_same(
    last: Segment, wanted: Segment, grown: Mapping[str, str], consumed_rows: int
) -> None:
    differences = list(_differences(last, wanted, grown))
    if differences:
        raise DatasetError(
            f"the state belongs to another mixture: {'; '.join(differences)}; resume with the data "
            f"sets, weights, seed and order it was saved with{_arguments(last, wanted)}, or with "
            f"change=True (`train --change-data`) mix otherwise from row {consumed_rows} on"
        )


def _arguments(old: Segment, new: Segment) -> str:
    """Those that ask for the seed and the order of `old`, where `new` has others."""
    seed = [] if old.seed == new.seed else [f"seed={old.seed}"]
    order = [] if old.order == new.order else [order_arguments(old.order)]
    return f" ({', '.join(seed + order)})" if seed or order else ""


def _differences(old: Segment, new: Segment, grown: Mapping[str, str]) -> Iterator[str]:
    before, now = set(old.datasets), set(new.datasets)
    yield from _few([_missing(digest, now, grown) for digest in sorted(before - now)])
    added = sorted(now - before - {grown[one] for one in before if one in grown})
    yield from _few([f"data set {digest[:12]} is new" for digest in added])
    if before == now:
        yield from _few(list(_other_weights(old, new)))
    if old.seed != new.seed:
        yield f"seed {old.seed} in the state, {new.seed} here"
    if old.order != new.order:
        yield f"{order_arguments(old.order)} in the state, {order_arguments(new.order)} here"


def _missing(digest: str, now: set[str], grown: Mapping[str, str]) -> str:
    later = grown.get(digest)
    if later in now:
        return f"data set {digest[:12]} has grown and is {later[:12]} now"
    return f"data set {digest[:12]} is not given"


def _other_weights(old: Segment, new: Segment) -> Iterator[str]:
    """As shares of the rows: what the mixture makes of the weights."""
    if old.shares == new.shares:
        return
    periods = sum(old.shares), sum(new.shares)
    for digest, *shares in zip(old.datasets, old.shares, new.shares, strict=True):
        before, now = (Fraction(*pair) for pair in zip(shares, periods, strict=True))
        if before != now:
            name = digest[:12]
            yield f"weights make data set {name} {before} of the rows in the state, {now} given"


def _few(told: list[str]) -> list[str]:
    more = len(told) - _MOST_NAMED
    return [*told[:_MOST_NAMED], f"and {more} more"] if more > 1 else told


def _read_segment(found: dict[str, Any]) -> Segment:
    _check_keys(found, _SEGMENT_KEYS, _SEGMENT_KEYS - {"order"})
    order = found.get("order", GLOBAL)
    window_shards_of(order)
    weights = _read_weights(found["datasets"])
    return Segment(_number(found["first_row"]), weights, _number(found["seed"]), order)


def _read_weights(found: object) -> dict[str, float]:
    if not isinstance(found, dict):
        raise ValueError(f"datasets {found!r:.80}: expected {{digest: weight}}")
    weights = {_digest(name): found[name] for name in sorted(found)}
    for digest, weight in weights.items():
        if not weight:
            raise ValueError(
                f"weight {weight!r:.80} of data set {digest[:12]}: expected a number above 0"
            )
    period_counts(list(weights.values()))  # refuses what are no shares
    return weights


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
