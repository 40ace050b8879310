"""The shards that a reader has open: a bounded number of files, and of bytes decoded from them.

Stands between `reader.py`, which knows rows, and the shards, mapped or decoded. A damaged shard is
opened again where its place has another copy of it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.row_numbers import Numbers
from pipeline.shard_reading.decoded_shards import DecodedBatches, DecodedShard
from pipeline.shard_reading.mapped_shards import MappedShard
from pipeline.shard_reading.shard_blocks import UNVERIFIED, RowShard, ShardBlock
from pipeline.shard_reading.shard_places import ShardPlace
from schemas.errors import CorruptDataError
from schemas.manifest import ShardEntry, StoredFile
from schemas.samples import RowFormat

T = TypeVar("T")
Wanted = tuple[ShardBlock, Numbers]
"""Record batches of one block, counted over all its shards."""

MAPPED_FORMAT = "arrow"
"""The shard format whose rows lie in the file as they are."""


@dataclass(frozen=True)
class ShardSource:
    """Where shards are opened and what is in them."""

    place: ShardPlace
    shard_format: str
    row_format: RowFormat


class OpenShards:
    """Opens, verifies and closes the shards of one reader.

    At most `max_open_shards` are open at once, the most recently used ones. Rows of formats
    other than `MAPPED_FORMAT` are decoded into `memory`, which belongs to this reader alone.
    """

    def __init__(self, source: ShardSource, max_open_shards: int, memory: DecodedBatches) -> None:
        self.source, self.max_open_shards, self.memory = source, max_open_shards, memory
        self._is_mapped = source.shard_format == MAPPED_FORMAT
        self._open: OrderedDict[RowShard, None] = OrderedDict()
        self.num_verified = 0
        """Record batches hashed so far."""

    def refresh(self, block: ShardBlock, numbers: Iterable[int]) -> None:
        """Open the shards `numbers` of a block, where their files are needed, and look at their
        identity: afterwards `bases`, `batch_rows` and `offsets` of the block hold for them."""
        for number in numbers:
            if not self._is_ready(block.shards[number]):
                block.bases[number] = self._try(block, number, lambda shard: shard.refresh())

    def verify(self, wanted: Sequence[Wanted]) -> bool:
        """Verify the record batches `wanted`, of shards that were refreshed.

        False, and nothing is decoded, when they cannot be held at once.
        """
        if not self._is_mapped:
            wanted = [(block, np.unique(batches)) for block, batches in wanted]
            if not self._hold(wanted):
                return False
        for block, batches in wanted:
            missing = np.unique(batches[block.offsets[batches] == UNVERIFIED])
            for number, batch in _pairs(block, missing):
                self._verify(block, number, batch)
        return True

    def origin(self, block: ShardBlock, number: int, index: int) -> NDArray[np.uint32]:
        """Origin (4, max_samples) of row `index` of a shard, verified."""
        return self._try(block, number, lambda shard: shard.origin(index))

    def forget(self, block: ShardBlock) -> None:
        """Close all shards of a block that will not be used again."""
        for number in range(len(block.shards)):
            self._forget(block, number)

    def ahead(self, wanted: Sequence[StoredFile]) -> None:
        """Tell the place what comes next. Copies that are not among it are closed: those that were
        evicted would take room on the disk for as long as they are mapped."""
        if self.source.place.are_copies:
            names = {one.path for one in wanted}
            for shard in [one for one in self._open if one.entry.path not in names]:
                del self._open[shard]
                shard.close()
        self.source.place.ahead(wanted)

    def close(self) -> None:
        """Release all files and what was decoded; what is mapped again unchanged is not hashed."""
        self.memory.clear()
        while self._open:
            self._open.popitem()[0].close()

    def _is_ready(self, shard: RowShard | None) -> bool:
        """Whether a shard's address and offsets still hold; it is then the most recently used one.

        Called for every touched shard in each gather.
        """
        if shard is None or not shard.holds():
            return False
        if shard in self._open:
            self._open.move_to_end(shard)
        return True

    def _hold(self, wanted: Sequence[Wanted]) -> bool:
        """Whether memory has room for all of `wanted`; what is there is then kept for them."""
        count = num_rows = 0
        for block, batches in wanted:
            count += len(batches)
            num_rows += int(block.batch_rows[block.shard_and_batch(batches)[0]].sum())
        num_bytes = num_rows * self.source.row_format.row_bytes
        if count > 1 and num_bytes > self.memory.memory_bytes:
            return False
        for block, batches in wanted:
            for number, batch in _pairs(block, batches[block.offsets[batches] != UNVERIFIED]):
                self.memory.use(block.shards[number], batch)
        return True

    def _verify(self, block: ShardBlock, number: int, batch: int) -> None:
        self._try(block, number, lambda shard: shard.verify(batch))
        self.num_verified += 1

    def _try(self, block: ShardBlock, number: int, action: Callable[[RowShard], T]) -> T:
        """`action` of a shard, again with another copy of its file where the place has one."""
        while True:
            try:
                return action(self._opened(block, number))
            except CorruptDataError as error:
                self._forget(block, number)
                if not self.source.place.set_aside(block.columns.stored(number), error):
                    raise

    def _opened(self, block: ShardBlock, number: int) -> RowShard:
        """The shard, opened where it is not, and now the most recently used one."""
        shard = block.shards[number]
        if shard is not None and shard in self._open:
            self._open.move_to_end(shard)
            return shard
        while len(self._open) >= self.max_open_shards:
            self._open.popitem(last=False)[0].close()
        entry = block.columns.entry(number) if shard is None else shard.entry
        path = self.source.place.path(entry.stored)
        if shard is None or shard.path != path:
            self._forget(block, number)
            shard = self._new(path, entry, block.offsets_of(number))
            block.shards[number], block.batch_rows[number] = shard, shard.batch_rows
        self._open[shard] = None
        return shard

    def _new(self, path: Path, entry: ShardEntry, offsets: Numbers) -> RowShard:
        if self._is_mapped:
            may_vanish = self.source.place.are_copies
            return MappedShard(path, entry, self.source.row_format, offsets, may_vanish)
        formats = (self.source.shard_format, self.source.row_format)
        return DecodedShard(path, entry, formats, offsets, self.memory)

    def _forget(self, block: ShardBlock, number: int) -> None:
        shard, block.shards[number] = block.shards[number], None
        if shard is not None:
            self._open.pop(shard, None)
            shard.close()
            self.memory.drop(shard)
            block.offsets_of(number)[:] = UNVERIFIED


def _pairs(block: ShardBlock, batches: Numbers) -> Iterator[tuple[int, int]]:
    """Of each of `batches` of a block the shard's number, and the record batch in it."""
    numbers, inside = block.shard_and_batch(batches)
    return zip(numbers.tolist(), inside.tolist(), strict=True)
