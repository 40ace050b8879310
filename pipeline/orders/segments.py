"""State of a stream: how many rows were consumed, and what was mixed from which row on.

Stands between `RowStream` and the checkpoint that keeps the state; plain values only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from pipeline.given_numbers import MAX_NUMBER
from pipeline.mixture import period_counts
from pipeline.orders.order_names import GLOBAL, window_shards_of
from schemas.errors import DatasetError

State = dict[str, Any]

_STATE_KEYS = {"consumed_rows", "segments"}
_SEGMENT_KEYS = {"first_row", "datasets", "seed", "order"}


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
        firsts = [segment.first_row for segment in segments]
        if not firsts or firsts[0] or any(a >= b for a, b in pairwise(firsts)):
            raise ValueError(f"segments begin at rows {firsts}, expected 0 and ascending rows")
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
            "sets, weights, seed and order it was saved with, or with change=True (`train "
            f"--change-data`) mix otherwise from row {consumed_rows} on"
        )


def _differences(old: Segment, new: Segment, grown: Mapping[str, str]) -> Iterator[str]:
    before, now = set(old.datasets), set(new.datasets)
    for digest in sorted(before - now):
        later = grown.get(digest)
        if later in now:
            yield f"data set {digest[:12]} has grown and is {later[:12]} now"
        else:
            yield f"data set {digest[:12]} is not given"
    for digest in sorted(now - before - {grown[one] for one in before if one in grown}):
        yield f"data set {digest[:12]} is new"
    if before == now and old.shares != new.shares:
        yield f"weights {old.datasets} in the state, {new.datasets} given"
    if old.seed != new.seed:
        yield f"seed {old.seed!r} in the state, {new.seed!r} given"
    if old.order != new.order:
        yield f"order {old.order!r} in the state, {new.order!r} given"


def _read_segment(found: dict[str, Any]) -> Segment:
    _check_keys(found, _SEGMENT_KEYS, _SEGMENT_KEYS - {"order"})
    order = found.get("order", GLOBAL)
    window_shards_of(order)
    weights = {_digest(name): found["datasets"][name] for name in sorted(found["datasets"])}
    if not all(weights.values()):
        raise ValueError(f"weights {weights}: expected numbers above 0")
    period_counts(list(weights.values()))  # refuses what are no shares
    return Segment(_number(found["first_row"]), weights, _number(found["seed"]), order)


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
