"""Faults of the matrix that strike in the middle of a stream."""

import itertools
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest

from pipeline.stream import PREFETCH_DEPTH, Batch, RowStream
from schemas.errors import CorruptDataError
from schemas.samples import SHARD_FORMATS
from tests.cached_files import wait_until
from tests.fault_matrix_cells import COPY, LOCAL, READ, ROWS, Cell, World, all_cells
from tests.fault_matrix_faults import SHARD
from tests.fault_matrix_scenes import Scene

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("worlds") / "world")


@pytest.mark.parametrize("shard_format", SHARD_FORMATS)
@pytest.mark.parametrize("place", [LOCAL, COPY])
def test_a_stream_hands_out_right_rows_up_to_the_fault_and_goes_on_when_it_is_mended(
    world: World, tmp_path: Path, place: str, shard_format: str
) -> None:
    with RowStream(world.dataset(shard_format), 8, order="global") as stream:
        order = [batch.row_numbers for batch in itertools.islice(stream, 600)]
    for number, cell in enumerate(all_cells(world, 1)):
        if cell == Cell(place, READ, shard_format, SHARD, cell.fault, cell.position):
            found = streamed(Scene(world, cell, tmp_path / str(number)))
            assert np.array_equal([batch.row_numbers for batch in found], order)
            assert all(np.array_equal(batch.rows, ROWS[batch.row_numbers]) for batch in found)


def streamed(scene: Scene) -> list[Batch]:
    """Batches before a fault, up to the error, if there is one, and after it was mended."""
    is_local, is_mapped = scene.cell.place == LOCAL, scene.cell.shard_format == "arrow"
    raised: AbstractContextManager[object] = nullcontext()
    if is_local:
        raised = pytest.raises(CorruptDataError) if is_mapped else suppress(CorruptDataError)
    with scene.elsewhere() if not is_local else nullcontext(), opened(scene, is_local) as stream:
        found = [next(stream)]
        wait_until(lambda: is_at_rest(stream))
        scene.strike()
        with raised:
            found += itertools.islice(stream, 300)
        if is_local:
            scene.mend()
        return found + list(itertools.islice(stream, 600 - len(found)))


def is_at_rest(stream: RowStream) -> bool:
    """Whether the thread of a stream waits for its consumer. A fault that strikes while it reads
    may come behind its last look at the file: test_fault_limits.py."""
    prefetcher = stream._prefetcher
    return prefetcher is not None and prefetcher._channel.items.qsize() == PREFETCH_DEPTH


def opened(scene: Scene, is_local: bool) -> RowStream:
    """The stream over a folder, or over a URL and its cache."""
    if is_local:
        return RowStream(scene.source, 8, order="global")
    return RowStream("s3://bucket/d", 8, order="global", cache=scene.new_cache())
