"""Equal hashes: what NumPy finds in memory, found in bounded memory and a folder that goes away."""

import os
import resource
import tempfile
import tracemalloc
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import unique
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
    blocks = [block.tolist() for block in spill.repeated()]
    assert all(blocks)
    return list(chain.from_iterable(blocks)), spill.num_repeats()


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


@pytest.mark.parametrize("held", [70, 1000])
@given(st.lists(st.integers(0, 60), max_size=200), st.integers(2, 9))
def test_blocks_have_a_size_and_cut_no_value_in_two(
    held: int, values: list[int], size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, HashSpill(held) as spill:
        patch.setattr(unique, "REPEATED_BLOCK", size)
        spill.add(np.array(values, np.uint64) << np.uint64(58))
        assert found(spill) == expected(np.array(values, np.uint64) << np.uint64(58))
        sizes = [len(block) for block in spill.repeated()]
        assert all(size <= one < 2 * size for one in sizes[:-1])


@pytest.mark.parametrize("held", [100, 10_000])
def test_one_may_stop_at_the_first_block(held: int, temporary: Path) -> None:
    hashes = np.repeat(random_hashes(1500), 2)
    with HashSpill(held) as spill, pytest.MonkeyPatch.context() as patch:
        patch.setattr(unique, "REPEATED_BLOCK", 10)
        spill.add(hashes)
        first = next(iter(spill.repeated()))
        assert first.tolist() == expected(hashes)[0][: len(first)]
        assert found(spill) == expected(hashes)
    assert list(temporary.iterdir()) == []


def test_nothing_is_added_between_two_blocks() -> None:
    with HashSpill(100) as spill, pytest.MonkeyPatch.context() as patch:
        patch.setattr(unique, "REPEATED_BLOCK", 2)
        spill.add(np.repeat(np.arange(40, dtype=np.uint64), 2))
        blocks = spill.repeated()
        next(blocks)
        spill.add(np.zeros(1, np.uint64))
        with pytest.raises(AssertionError, match="between two blocks"):
            next(blocks)


@pytest.mark.parametrize("repeats", [1, 2, 9], ids="{} times each".format)
def test_memory_stays_within_its_bound_however_many_repeat(repeats: int, temporary: Path) -> None:
    hashes = np.tile(random_hashes(MANY // repeats), repeats)
    wanted = expected(hashes)
    tracemalloc.start()
    try:
        with HashSpill(HELD) as spill:
            for part in in_parts(hashes, 100_000):
                spill.add(part)
            num_values = sum(len(block) for block in spill.repeated())
            repeated = spill.num_repeats()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (num_values, repeated) == (len(wanted[0]), wanted[1])
    assert peak < 10 * HELD + 40 * unique.REPEATED_BLOCK + (1 << 20)
