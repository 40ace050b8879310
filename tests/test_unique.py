"""Equal hashes: what NumPy finds in memory, found in bounded memory and a folder that goes away."""

import os
import resource
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.unique import Hashes, HashSpill
from schemas.errors import StorageError

MANY, HELD = (20_000_000, 4_000_000) if os.environ.get("BLANKSTREAM_FULL") else (2_000_000, 250_000)

FEW_OR_ANY = st.sampled_from([0, 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
NEAR = st.builds(lambda base, step: base + step, st.just(7 << 40), st.integers(0, 300))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def expected(hashes: Hashes) -> tuple[list[int], int]:
    values, counts = np.unique(hashes, return_counts=True)
    return values[counts > 1].tolist(), len(hashes) - len(values)


def found(spill: HashSpill) -> tuple[list[int], int]:
    return spill.repeated().tolist(), spill.num_repeats()


def random_hashes(count: int, seed: int = 1) -> Hashes:
    """`count` hashes, about a tenth of which repeat another."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, count, np.uint64)
    hashes[rng.integers(0, count, count // 10)] = hashes[rng.integers(0, count, count // 10)]
    return hashes


def in_parts(hashes: Hashes, size: int) -> Iterator[Hashes]:
    return (hashes[start : start + size] for start in range(0, len(hashes), size))


@given(st.lists(st.lists(FEW_OR_ANY | NEAR, max_size=60), max_size=6), st.integers(1, 50))
def test_repeats_are_those_of_numpy_whatever_the_limit(parts: list[list[int]], held: int) -> None:
    arrays = [np.array(part, np.uint64) for part in parts]
    with HashSpill(held) as spill:
        for array in arrays:
            spill.add(array)
        assert found(spill) == expected(np.concatenate([np.empty(0, np.uint64), *arrays]))


@given(st.permutations([*range(20), *range(10), 2**64 - 1]))
def test_the_order_of_adding_is_no_matter(values: list[int]) -> None:
    with HashSpill(4) as spill:
        spill.add(np.array(values, np.uint64))
        assert found(spill) == (list(range(10)), 10)


def test_hashes_may_be_added_after_asking() -> None:
    hashes = random_hashes(5000)
    with HashSpill(600) as spill:
        for seen, part in enumerate(in_parts(hashes, 1000), start=1):
            spill.add(part)
            for _ in range(2):
                assert found(spill) == expected(hashes[: seen * 1000])


@pytest.mark.parametrize(
    "hashes",
    [
        np.full(3000, 2**64 - 1, np.uint64),
        np.repeat(np.array([5, 6], np.uint64), 2000),
        np.arange(3000, dtype=np.uint64) % 1700,
        np.append(np.zeros(3000, np.uint64), np.uint64(1 << 63)),
        np.append(np.arange(2000, dtype=np.uint64) * 3, np.arange(1000, dtype=np.uint64) << 20),
    ],
    ids=["one value", "two neighbours", "small numbers", "one far away", "two scales"],
)
def test_a_bucket_that_outgrows_memory_is_split_again(hashes: Hashes, temporary: Path) -> None:
    with HashSpill(100) as spill:
        spill.add(hashes)
        assert found(spill) == expected(hashes)
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_few_hashes_touch_no_disk(temporary: Path) -> None:
    with HashSpill(1000) as spill:
        assert found(spill) == ([], 0)
        spill.add(np.arange(1000, dtype=np.uint64))
        assert found(spill) == ([], 0)
        spill.add(np.empty(0, np.uint64))
        assert list(temporary.iterdir()) == []


def test_the_folder_goes_away_when_the_block_fails(temporary: Path) -> None:
    spill = HashSpill(10)
    with pytest.raises(AssertionError, match="float64"), spill:
        _add_then_fail(spill, temporary)
    assert list(temporary.iterdir()) == []


def _add_then_fail(spill: HashSpill, temporary: Path) -> None:
    spill.add(random_hashes(100))
    assert list(temporary.iterdir())
    spill.add(np.zeros(3))  # type: ignore[arg-type]


@pytest.mark.fault
def test_a_full_disk_is_one_error_that_names_tmpdir(temporary: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with HashSpill(1000) as spill:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
            with pytest.raises(StorageError, match=rf"{temporary}.*File too large.*set TMPDIR to"):
                spill.add(np.arange(2000, dtype=np.uint64))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(temporary.iterdir()) == []


def test_memory_stays_within_its_bound(temporary: Path) -> None:
    hashes = random_hashes(MANY)
    wanted = expected(hashes)
    tracemalloc.start()
    try:
        with HashSpill(HELD) as spill:
            for part in in_parts(hashes, 100_000):
                spill.add(part)
            values, repeats = spill.repeated(), spill.num_repeats()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (values.tolist(), repeats) == wanted
    assert peak < 10 * HELD + 2 * values.nbytes + (1 << 20)
