"""Faults of the matrix that strike in the middle of a stream."""

import itertools
import os
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pipeline.shard_cache.folder import CacheFolder
from pipeline.stream import Batch, RowStream
from pipeline.supply import PREFETCH_DEPTH
from schemas.errors import CorruptDataError
from schemas.samples import SHARD_FORMATS
from tests.cached_files import wait_until
from tests.fault_matrix import folder_in_memory
from tests.fault_matrix_cells import (
    COPY,
    LOCAL,
    READ,
    ROWS,
    SHARD_ROWS,
    UNREAD,
    VICTIM,
    Cell,
    World,
    all_cells,
)
from tests.fault_matrix_faults import SHARD
from tests.fault_matrix_scenes import Scene

pytestmark = pytest.mark.fault

FULL = bool(os.environ.get("BLANKSTREAM_FULL"))
FORMATS = SHARD_FORMATS if FULL else ("arrow", "arrow-zstd")
"""A mapped one and a decoded one; which faults each notices is the matter of the matrix."""

BATCHES = 80
BATCH_ROWS = {UNREAD: 1, READ: 8}
"""By the moment of the fault: until then a stream has gathered seven batches, which are rows of
other shards than the one that is struck, or every row."""
GATHERED = 7
ALL = set(range(len(ROWS)))


Order = tuple[str, int | None]
ORDERS: tuple[Order, ...] = (("global", None), ("windowed", 1))
"""And the shards of a window."""


class Way(NamedTuple):
    """How a stream goes through the data."""

    batch_rows: int
    order: Order
    seed: int

    def opened(self, place: Path | str, cache: CacheFolder | None = None) -> RowStream:
        order, window_shards = self.order
        wishes = {"order": order, "window_shards": window_shards, "seed": self.seed}
        return RowStream(place, self.batch_rows, cache=cache, **wishes)  # type: ignore[arg-type]

    def is_of(self, moment: str, dataset: Path) -> bool:
        """Whether the struck shard is as the moment says when the fault strikes."""
        with self.opened(dataset) as stream:
            _, numbers = stream.rows_at(0, GATHERED * self.batch_rows)
        shards = set((numbers // SHARD_ROWS).tolist())
        return VICTIM not in shards if moment == UNREAD else set(numbers.tolist()) == ALL


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("worlds") / "world")


@pytest.mark.parametrize("shard_format", FORMATS)
@pytest.mark.parametrize("place", [LOCAL, COPY])
@pytest.mark.parametrize("moment", [UNREAD, READ])
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_a_stream_hands_out_right_rows_up_to_the_fault_and_goes_on_when_it_is_mended(
    world: World, place: str, shard_format: str, moment: str, order: Order
) -> None:
    cells, dataset = cells_of(world, place, moment, shard_format), world.dataset(shard_format)
    assert cells
    ways = (Way(BATCH_ROWS[moment], order, seed) for seed in itertools.count())
    way = next(one for one in ways if one.is_of(moment, dataset))
    with way.opened(dataset) as stream:
        numbers = [batch.row_numbers for batch in itertools.islice(stream, BATCHES)]
    for cell in cells:
        with folder_in_memory() as folder:
            found = streamed(Scene(world, cell, folder), way)
        assert np.array_equal([batch.row_numbers for batch in found], numbers)
        assert all(np.array_equal(batch.rows, ROWS[batch.row_numbers]) for batch in found)


def cells_of(world: World, *wanted: str) -> list[Cell]:
    """Those of a shard that is struck at a place and a moment, in a format."""
    return [
        one
        for one in all_cells(world, 1)
        if (one.place, one.moment, one.shard_format, one.target) == (*wanted, SHARD)
    ]


def streamed(scene: Scene, way: Way) -> list[Batch]:
    """Batches before a fault, up to the error, if there is one, and after it was mended; a copy
    that was not read yet is mended by the stream."""
    is_local, is_unread = scene.cell.place == LOCAL, scene.cell.moment == UNREAD
    is_met = is_unread or scene.cell.shard_format == "arrow"
    raised: AbstractContextManager[object] = nullcontext()
    if is_local:
        raised = pytest.raises(CorruptDataError) if is_met else suppress(CorruptDataError)
    with scene.elsewhere() if not is_local else nullcontext(), opened(scene, way) as stream:
        found = [next(stream)]
        wait_until(lambda: is_at_rest(stream))
        scene.strike()
        with raised:
            found += itertools.islice(stream, BATCHES // 2)
        if is_local:
            scene.mend()
        found += itertools.islice(stream, BATCHES - len(found))
    copy, content = next(iter(scene.struck.items()))
    assert is_local or not is_unread or copy.read_bytes() == content
    return found


def is_at_rest(stream: RowStream) -> bool:
    """Whether the thread of a stream waits for its consumer. A fault that strikes while it reads
    may come behind its last look at the file: test_fault_limits.py."""
    prefetcher = stream._supply._prefetcher
    return prefetcher is not None and prefetcher._channel._made.qsize() == PREFETCH_DEPTH


def opened(scene: Scene, way: Way) -> RowStream:
    """The stream over a folder, or over a URL and its cache."""
    if scene.cell.place == LOCAL:
        return way.opened(scene.source)
    return way.opened("s3://bucket/d", cache=scene.new_cache())
