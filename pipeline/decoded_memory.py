"""Memory for the decoded rows of a stream: one limit for all of its readers.

Stands between `RowStream` and its readers. A window of one data set may be larger than those of all
others, and an epoch that began with larger windows ends with them: memory goes where it is needed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pipeline.dataset import DECODED_BYTES, Dataset
from pipeline.orders.order_names import MIN_CHOSEN_SHARDS, mean_shard_bytes
from pipeline.row_numbers import Numbers
from pipeline.shard_reading.decoded_shards import DecodedBatches, Owner
from pipeline.shard_reading.open_shards import MAPPED_FORMAT
from schemas.errors import UserError


class StreamMemory:
    """At most `memory_bytes` of decoded rows, in one part for each of `num_parts` readers.

    A part is sure of its share, and no gather takes more of it at once; what others leave free it
    uses too, until they need it. A part whose share is smaller than a record batch may hold one all
    the same.
    """

    def __init__(self, memory_bytes: int, num_parts: int) -> None:
        self.memory_bytes = memory_bytes
        self.parts = [ReaderMemory(self, memory_bytes // num_parts) for _ in range(num_parts)]

    def divide(self, weights: Sequence[int]) -> None:
        """Give each part a share in proportion to its weight, where any has one."""
        for part, weight in zip(self.parts, weights, strict=True):
            part.memory_bytes = self.memory_bytes * weight // max(1, sum(weights))

    def make_room(self, part: "ReaderMemory", num_bytes: int) -> None:
        """Free room for `num_bytes` more in `part`: of the part furthest above its share, the least
        recently used record batch, and again.

        What a gather needs at once stays: within its share nothing of a part is freed for others.
        """
        while sum(one.num_bytes for one in self.parts) + num_bytes > self.memory_bytes:
            above = {one: one.num_bytes - one.memory_bytes for one in self.parts if one.has_spare}
            if part.num_bytes:
                above[part] = part.num_bytes - part.memory_bytes + num_bytes
            largest = max(above, key=above.__getitem__, default=part)
            if above.get(largest, 0) <= 0:
                return
            largest.free_oldest()


class ReaderMemory(DecodedBatches):
    """The part of one reader, `memory_bytes` being its share."""

    def __init__(self, whole: StreamMemory, share_bytes: int) -> None:
        super().__init__(share_bytes)
        self._whole = whole

    @property
    def has_spare(self) -> bool:
        """Whether more is held than the one record batch that always may be."""
        return len(self._kept) > 1

    def keep(self, owner: Owner, batch: int, rows: NDArray[Any], offsets: Numbers) -> None:
        """Hold `rows`, now the most recently used, and note their address in `offsets`."""
        self._whole.make_room(self, rows.nbytes)
        self._kept[owner, batch] = rows, offsets
        self.num_bytes += rows.nbytes
        offsets[batch] = rows.ctypes.data

    def free_oldest(self) -> None:
        """Free the least recently used record batch."""
        self._free(*self._kept.popitem(last=False))


class _Shards(NamedTuple):
    """The shards of a data set that are decoded: how many, and the mean bytes of one."""

    num_shards: int
    mean_bytes: int

    def window_bytes(self, window_shards: int) -> int:
        return min(window_shards, self.num_shards) * self.mean_bytes


def memory_of(datasets: Sequence[Dataset], split: str) -> StreamMemory:
    """Memory for a stream over `datasets`: `DECODED_BYTES`, or what windows of two shards take."""
    decoded = [_decoded(dataset, split) for dataset in datasets]
    smallest = _window_bytes(decoded, MIN_CHOSEN_SHARDS)
    return StreamMemory(max(DECODED_BYTES, smallest), len(datasets))


def divide(
    memory: StreamMemory, datasets: Sequence[Dataset], split: str, window_shards: int | None
) -> None:
    """Divide `memory` as windows of `window_shards` need it; without windows, as all shards do.

    Mapped shards need none.
    """
    decoded = [_decoded(dataset, split) for dataset in datasets]
    memory.divide([one.window_bytes(window_shards or one.num_shards) for one in decoded])


def check_memory(
    memory: StreamMemory, datasets: Sequence[Dataset], split: str, window_shards: int
) -> None:
    """Raise `UserError` with all numbers unless windows of `window_shards` of every data set fit
    into `memory` once they are decoded: else record batches would be decoded over and over.

    Bytes are those of shards of the mean size.
    """
    decoded, room = [_decoded(dataset, split) for dataset in datasets], memory.memory_bytes
    needed = _window_bytes(decoded, window_shards)
    if needed > room:
        fitting = max(n for n in range(1, window_shards) if _window_bytes(decoded, n) <= room)
        raise UserError(
            f"windows of {window_shards} shards of {len(datasets)} data sets are {needed} bytes "
            f"when they are decoded, and there is room for {room}; give window_shards={fitting} "
            "at most, beside a state with change=True (`train --change-data`)"
        )


def _window_bytes(decoded: Sequence[_Shards], window_shards: int) -> int:
    """Decoded rows of one window of each data set."""
    return sum(shards.window_bytes(window_shards) for shards in decoded)


def _decoded(dataset: Dataset, split: str) -> _Shards:
    manifest = dataset.manifest
    if manifest.shard_format == MAPPED_FORMAT:
        return _Shards(0, 0)
    return _Shards(manifest.num_shards(split), mean_shard_bytes(manifest, split))
