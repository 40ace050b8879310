"""The name of an order, as a state records it, and the choice of one.

Stands between the arguments of `RowStream` and its segments.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.given_numbers import whole_number
from schemas.errors import UserError
from schemas.manifest import Manifest
from schemas.train_config import MAX_WINDOW_SHARDS

AUTO, GLOBAL, WINDOWED = "auto", "global", "windowed"

WINDOW_BYTES = 1 << 30
"""Decoded rows of the shards that are read at a time, of all data sets together, about."""

MIN_CHOSEN_SHARDS, MAX_CHOSEN_SHARDS = 2, 64

FEW_OPEN_SHARDS = 256
"""As many shards can be open at once in any stream, wherever they are (`pipeline/dataset.py`)."""

_WINDOWED_NAME = re.compile(rf"{WINDOWED}/([1-9][0-9]{{0,4}})")


def order_name(window_shards: int | None) -> str:
    """`global`, or `windowed/K` for windows of K shards."""
    return GLOBAL if window_shards is None else f"{WINDOWED}/{window_shards}"


def window_shards_of(name: object) -> int | None:
    """Inverse of `order_name`; `ValueError` for what it does not give."""
    if name == GLOBAL:
        return None
    found = _WINDOWED_NAME.fullmatch(name) if isinstance(name, str) else None
    if not found or int(found[1]) > MAX_WINDOW_SHARDS:
        raise ValueError(
            f"order {name!r:.80}: expected '{GLOBAL}' or '{WINDOWED}/K', K in "
            f"1..{MAX_WINDOW_SHARDS}"
        )
    return int(found[1])


def order_arguments(name: str) -> str:
    """What to give a stream for the order of that name, as it is written there."""
    shards = window_shards_of(name)
    if shards is None:
        return f"order='{GLOBAL}'"
    return f"order='{WINDOWED}', window_shards={shards}"


@dataclass(frozen=True)
class OrderWish:
    """What the caller asks for; `UserError` for an order or a window that does not exist.

    `auto` beside a window means `windowed`: who gives a window wants one.
    """

    order: str = AUTO
    window_shards: int | None = None

    def __post_init__(self) -> None:
        if self.order not in (AUTO, GLOBAL, WINDOWED):
            raise UserError(
                f"order={self.order!r:.80}: expected '{AUTO}', '{GLOBAL}' or '{WINDOWED}'; how "
                "many shards a window has is said by window_shards=K beside it"
            )
        if self.window_shards is None:
            return
        whole_number("window_shards", self.window_shards, 1, MAX_WINDOW_SHARDS)
        if self.order == GLOBAL:
            raise UserError(
                f"window_shards={self.window_shards} beside order='{GLOBAL}', which has no "
                "windows; leave one of them out"
            )

    def choose(self, manifests: Sequence[Manifest], split: str, fits_open: bool) -> str:
        """Name of the order for these data sets, `fits_open` where all of their shards can be
        mapped at once: a global order would open others again and again.

        Windows that were not asked for have as many shards as `chosen_shards` says.
        """
        if self._takes_global(fits_open):
            return GLOBAL
        return order_name(int(self.window_shards or chosen_shards(manifests, split)))

    def resume(self, recorded: str, chosen: str, can_be_mapped: bool) -> str:
        """`recorded`, the order in a state, where it is what was asked for; else `chosen`.

        What was left open is as recorded. Of a global order less is asked than in `choose`: that
        its shards `can_be_mapped`, though not all at once. A stream does not change its order
        because its data has grown.
        """
        shards = window_shards_of(recorded)
        if shards is None:
            follows = self._takes_global(can_be_mapped)
        else:
            follows = self.order != GLOBAL and self.window_shards in (None, shards)
        return recorded if follows else chosen

    def _takes_global(self, is_fit: bool) -> bool:
        """Whether a global order is asked for, or left open for shards that are fit for it."""
        is_open = self.order == AUTO and self.window_shards is None
        return self.order == GLOBAL or (is_open and is_fit)


def chosen_shards(manifests: Sequence[Manifest], split: str) -> int:
    """Shards of a window: one window of every data set has about `WINDOW_BYTES` of rows, and all of
    them together at most `FEW_OPEN_SHARDS` shards, or one each where there are more data sets.

    From the mean rows of a shard and the bytes of a row, thus the same wherever the files are.
    """
    shard_bytes = sum(mean_shard_bytes(manifest, split) for manifest in manifests)
    fitting = min(max(WINDOW_BYTES // shard_bytes, MIN_CHOSEN_SHARDS), MAX_CHOSEN_SHARDS)
    return max(1, min(fitting, FEW_OPEN_SHARDS // len(manifests)))


def mean_shard_bytes(manifest: Manifest, split: str) -> int:
    """Bytes of the rows of a shard, in the mean."""
    num_bytes = manifest.rows[split] * manifest.row_format.row_bytes
    return max(1, num_bytes // max(1, manifest.num_shards(split)))
