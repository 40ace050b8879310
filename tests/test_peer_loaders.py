"""The loaders of the race: the same samples for all, every one once, and the page cache."""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import glm, ram_gather
from benchmarks.peers.loader import NAMES, find_loader, in_batches
from benchmarks.peers.page_cache import drop, files_below, resident_share
from benchmarks.peers.race import OURS, YARDSTICK
from benchmarks.peers.samples import BATCH_ROWS, DTYPE, WIDTH, Values, parts, stacked
from benchmarks.peers.worker import Worker
from pipeline.packing import decode_row
from pipeline.restore import restore_blanks

ROWS = 20 * BATCH_ROWS + 5
PEER = "numpy_memmap"
"""A peer that needs nothing more."""


@pytest.fixture(scope="module")
def rows() -> Values:
    return glm.glm_rows(ROWS)


def test_samples_are_glm_samples_and_all_different(rows: Values) -> None:
    assert rows.shape == (ROWS, WIDTH)
    assert rows.dtype == np.dtype(DTYPE)
    assert len(np.unique(rows, axis=0)) == len(rows)
    for row in rows[:20]:
        (sample,) = decode_row(row, glm.FORMAT)
        text, spans = restore_blanks(sample, glm.RULES)
        assert len(text) == glm.TEXT_TOKENS + 2
        assert sum(span.stop - span.start for span in spans) >= int(0.15 * len(text))
    assert np.array_equal(rows[:1000], glm.glm_rows(1000))


def test_the_gather_takes_all_bytes_of_the_same_random_rows(rows: Values, tmp_path: Path) -> None:
    ram_gather.write(rows, tmp_path / "ram")
    arrays = [np.load(tmp_path / "ram" / f"{number}.npy") for number in range(4)]
    assert [array.nbytes * 4 for array in arrays] == [rows.nbytes] * 4
    batch = np.concatenate(ram_gather.gather(arrays, np.random.default_rng(3)), axis=1)
    numbers = np.random.default_rng(3).integers(0, len(rows), BATCH_ROWS)
    assert np.array_equal(batch, rows[numbers])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # tars left open
@pytest.mark.parametrize("name", [OURS, PEER, "webdataset"])
def test_an_epoch_has_no_sample_twice_and_a_resumed_one_the_rest(
    name: str, rows: Values, tmp_path: Path
) -> None:
    loader = find_loader(name)
    loader.prepare()
    loader.write(rows, tmp_path / "data")
    known = {row.tobytes() for row in rows}
    whole = loader.batches(tmp_path / "data", 0)
    batches = [batch.copy() for batch in islice(whole, 25)]
    whole.close()  # type: ignore[attr-defined]
    assert {batch.shape for batch in batches} == {(BATCH_ROWS, WIDTH)}
    assert {batch.dtype for batch in batches} == {np.dtype(DTYPE)}
    taken = [row.tobytes() for batch in batches[:20] for row in batch]
    assert len(set(taken) & known) == 20 * BATCH_ROWS
    assert not np.array_equal(batches[0], rows[:BATCH_ROWS])
    resumed = loader.batches(tmp_path / "data", 7 * BATCH_ROWS)
    assert all(np.array_equal(next(resumed), batch) for batch in batches[7:10])
    resumed.close()  # type: ignore[attr-defined]


def test_batches_are_full_and_an_epoch_is_begun_once() -> None:
    class BeginsAnew:
        """Like litdata's data set: it is its own iterator, and `iter` resets it."""

        def __init__(self) -> None:
            self.place = 0

        def __iter__(self) -> "BeginsAnew":
            self.place = 0
            return self

        def __next__(self) -> bytes:
            self.place += 1
            if self.place > 2 * BATCH_ROWS + 1:
                raise StopIteration
            return np.full(WIDTH, self.place, DTYPE).tobytes()

    found = [batch[:, 0].tolist() for batch in in_batches(BeginsAnew())]
    assert found == [list(range(1, 65)), list(range(65, 129))]
    with pytest.raises(ValueError, match="reshape"):
        stacked([bytes(2)])
    assert [len(part) for part in parts(np.zeros((10, 2)), 4)] == [3, 3, 2, 2]


def test_a_loader_is_described_without_importing_its_peer() -> None:
    loaders = [find_loader(name) for name in NAMES]
    assert len({loader.name for loader in loaders}) == len(NAMES)
    assert not {"litdata", "streaming", "datasets", "grain"} & sys.modules.keys()
    assert find_loader(PEER).installed_version == np.__version__
    assert find_loader(YARDSTICK).installed_version == ""


def test_a_row_that_comes_twice_is_no_shuffle(rows: Values, tmp_path: Path) -> None:
    loader = find_loader(PEER)
    samples = tmp_path / "samples.npy"
    np.save(samples, rows[:128])
    loader.write(rows[:64].repeat(2, axis=0), tmp_path / "twice")
    with pytest.raises(AssertionError, match="numpy memmap: rows that are no samples, or come"):
        Worker(loader, tmp_path / "twice").shuffle(str(samples), 2)


def test_pages_of_a_file_are_found_and_dropped(tmp_path: Path) -> None:
    written, never_read = tmp_path / "written", tmp_path / "sparse"
    written.write_bytes(bytes(1 << 20))
    with never_read.open("wb") as file:
        file.truncate(1 << 20)
    (tmp_path / "empty").touch()
    assert resident_share([written]) == 1
    assert resident_share([never_read, tmp_path / "empty"]) == 0
    assert resident_share([written, never_read]) == 0.5
    drop(files_below(tmp_path))
    assert resident_share([written]) < 1
    assert written.read_bytes() == bytes(1 << 20)
