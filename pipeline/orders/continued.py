"""Going on from a state: with what it mixed last, or with something else from there on.

Stands between the segments of a state and the data sets that are given (`pipeline/mixed_data.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from pipeline.orders.order_names import order_arguments
from pipeline.orders.segments import Segment
from schemas.errors import DatasetError

_MOST_NAMED = 3
"""Data sets of one kind that a message names, and says how many more there are."""


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
    if kept and not list(differences(kept[-1], wanted, grown)):
        return tuple(kept)
    return (*kept, replace(wanted, first_row=consumed_rows))


def _check_same(
    last: Segment, wanted: Segment, grown: Mapping[str, str], consumed_rows: int
) -> None:
    found = list(differences(last, wanted, grown))
    if found:
        raise DatasetError(
            f"the state belongs to another mixture: {'; '.join(found)}; resume with the data "
            f"sets, weights, seed and order it was saved with{_arguments(last, wanted)}, or with "
            f"change=True (`train --change-data`) mix otherwise from row {consumed_rows} on"
        )


def _arguments(old: Segment, new: Segment) -> str:
    """Those that ask for the seed and the order of `old`, where `new` has others."""
    seed = [] if old.seed == new.seed else [f"seed={old.seed}"]
    order = [] if old.order == new.order else [order_arguments(old.order)]
    return f" ({', '.join(seed + order)})" if seed or order else ""


def differences(old: Segment, new: Segment, grown: Mapping[str, str]) -> Iterator[str]:
    """What is mixed otherwise by `new` than by `old`, in words; nothing where nothing is. `grown`
    leads from an earlier version's digest to the present one."""
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
