"""State of a stream: how many rows were consumed, and of what mixture.

Stands between `RowStream` and the checkpoint that keeps the state; plain values only.
"""

from dataclasses import dataclass
from typing import Any

from pipeline.mixture import period_counts
from schemas.errors import DatasetError

State = dict[str, Any]


@dataclass(frozen=True)
class Segment:
    """What was mixed: digest -> weight, in order of digest, and the seed of the orders."""

    datasets: dict[str, float]
    seed: int


def write_state(consumed_rows: int, segment: Segment) -> State:
    """The state of a stream that consumed `consumed_rows` rows of one mixture."""
    mixed = {"first_row": 0, "datasets": dict(segment.datasets), "seed": segment.seed}
    return {"consumed_rows": consumed_rows, "segments": [mixed]}


def read_state(state: State, segment: Segment) -> int:
    """Rows consumed in `state`; `DatasetError` when it mixed something else than `segment`.

    Weights are compared as shares of their sum, so that 1 : 2 continues 10 : 20.
    """
    try:
        consumed, (found,) = state["consumed_rows"], state["segments"]
        first_row, old = found["first_row"], Segment(dict(found["datasets"]), found["seed"])
        _shares(old)
        valid = type(consumed) is int and 0 <= consumed < 1 << 62 and first_row == 0
    except (KeyError, TypeError, ValueError):
        valid = False
    if not valid:
        raise DatasetError(
            f"not a state of a stream with one segment: {state!r}; give what `state()` returned"
        )
    differences = list(_differences(old, segment))
    if differences:
        raise DatasetError(
            f"the state belongs to another mixture: {'; '.join(differences)}; resume with the data "
            "sets, weights and seed it was saved with"
        )
    return int(consumed)


def _differences(old: Segment, new: Segment) -> list[str]:
    lost = [f"data set {d[:12]} is not given" for d in old.datasets.keys() - new.datasets.keys()]
    added = [f"data set {d[:12]} is new" for d in new.datasets.keys() - old.datasets.keys()]
    differences = sorted(lost) + sorted(added)
    if not differences and _shares(old) != _shares(new):
        differences.append(f"weights {old.datasets} in the state, {new.datasets} given")
    if old.seed != new.seed:
        differences.append(f"seed {old.seed!r} in the state, {new.seed!r} given")
    return differences


def _shares(segment: Segment) -> list[int]:
    return period_counts([segment.datasets[digest] for digest in sorted(segment.datasets)])
