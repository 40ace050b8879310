"""The name of an order, as a state records it, and the choice of one.

Stands between the arguments of `RowStream` and its segments.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.errors import UserError
from schemas.manifest import Manifest
from schemas.train_config import MAX_WINDOW_SHARDS

AUTO, GLOBAL, WINDOWED = "auto", "global", "windowed"

WINDOW_BYTES = 1 << 30
"""Decoded rows of the shards that are read at a time, of all data sets together, about."""

MIN_CHOSEN_SHARDS, MAX_CHOSEN_SHARDS = 2, 64

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


@dataclass(frozen=True)
class OrderWish:
    """What the caller asks for; `UserError` for an order or a window that does not exist."""

    order: str = AUTO
    window_shards: int | None = None

    def __post_init__(self) -> None:
        if self.order not in (AUTO, GLOBAL, WINDOWED):
            raise UserError(
                f"order={self.order!r:.80}: expected '{AUTO}', '{GLOBAL}' or '{WINDOWED}'"
            )
        shards = self.window_shards
        if shards is None:
            return
        number = isinstance(shards, int | np.integer) and not isinstance(shards, bool)
        if not number or not 1 <= shards <= MAX_WINDOW_SHARDS:
            raise UserError(
                f"window_shards={shards!r}: expected an integer in 1..{MAX_WINDOW_SHARDS}"
            )
        if self.order == GLOBAL:
            raise UserError(
                f"window_shards={shards} beside order='{GLOBAL}', which has no windows; leave one "
                "of them out"
            )

    def choose(self, manifests: Sequence[Manifest], split: str, is_mapped: bool) -> str:
        """Name of the order for these data sets, `is_mapped` where each of them can be mapped.

        Windows that were not asked for have as many shards as `chosen_shards` says.
        """
        if self.order == GLOBAL or (self.order == AUTO and is_mapped):
            return GLOBAL
        return order_name(int(self.window_shards or chosen_shards(manifests, split)))

    def resume(self, recorded: str, chosen: str, is_mapped: bool) -> str:
        """`recorded`, the order in a state, where it is what was asked for; else `chosen`.

        What was left open is as recorded, except that a global order needs data sets that can be
        mapped.
        """
        shards = window_shards_of(recorded)
        if shards is None:
            follows = self.order == GLOBAL or (self.order == AUTO and is_mapped)
        else:
            follows = self.order != GLOBAL and self.window_shards in (None, shards)
        return recorded if follows else chosen


def chosen_shards(manifests: Sequence[Manifest], split: str) -> int:
    """Shards of a window: one window of every data set has about `WINDOW_BYTES` of rows.

    From the mean rows of a shard and the bytes of a row, thus the same wherever the files are.
    """
    shard_bytes = sum(_mean_shard_bytes(manifest, split) for manifest in manifests)
    return min(max(WINDOW_BYTES // shard_bytes, MIN_CHOSEN_SHARDS), MAX_CHOSEN_SHARDS)


def _mean_shard_bytes(manifest: Manifest, split: str) -> int:
    num_shards = sum(block.shards for block in manifest.table_blocks if block.split == split)
    row_bytes = manifest.row_format.width * np.dtype(manifest.row_format.dtype).itemsize
    return max(1, manifest.rows[split] * row_bytes // max(1, num_shards))
