"""Memory that the readers of a stream share: enough for each, and never for too long."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import decoded_memory
from pipeline.dataset import Dataset, open_dataset
from pipeline.decoded_memory import StreamMemory, check_memory, divide, memory_of
from pipeline.shard_reading.reader import gather_mixed
from pipeline.shard_reading.shard_blocks import UNVERIFIED
from pipeline.stream import RowStream
from schemas.errors import UserError
from schemas.manifest import TRAIN
from tests.datasets import ROW_FORMAT, Content, random_rows
from tests.format_datasets import write_dataset_as

LARGE = {"rows": 240, "shards": 4, "batch_rows": 5}
SMALL = {"rows": 24, "shards": 4, "batch_rows": 5}
ROW_BYTES = ROW_FORMAT.row_bytes


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One data set with shards of 60 rows, and five with shards of 6."""
    folder = tmp_path_factory.mktemp("uneven")
    large = write_dataset_as(folder / "large", "arrow-lz4", **LARGE)
    return [
        large,
        *(write_dataset_as(folder / str(n), "arrow-lz4", **SMALL, seed=n) for n in range(1, 6)),
    ]


def decoded(stream: RowStream) -> list[int]:
    """Record batches that each reader has decoded."""
    return [reader.num_verified for reader in stream._readers]


def test_a_data_set_with_larger_shards_than_the_others_is_decoded_once(
    uneven: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows of 2 shards take 2 * 60 + 5 * 2 * 6 rows; an even share would be 30 rows."""
    monkeypatch.setattr(decoded_memory, "DECODED_BYTES", 180 * ROW_BYTES)
    weights = {path: 24 if path == uneven[0] else 1 for path in uneven}
    with RowStream(weights, 8, order="windowed", window_shards=2, epochs=1) as stream:
        large = [Path(dataset.name) for dataset in stream.datasets].index(uneven[0])
        list(stream)
        assert decoded(stream)[large] <= 52  # 48 record batches, some again where windows meet


def test_an_epoch_that_began_with_larger_windows_ends_with_them(
    uneven: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded_memory, "DECODED_BYTES", 300 * ROW_BYTES)
    first, other = uneven[1], uneven[0]
    with RowStream(first, 8, order="windowed", window_shards=4) as stream:
        next(stream)
        state = stream.state()
    arguments = {"order": "windowed", "window_shards": 1, "change": True, "state": state}
    with RowStream({first: 1, other: 1}, 8, **arguments) as stream:  # type: ignore[arg-type]
        small = [Path(dataset.name) for dataset in stream.datasets].index(first)
        list(itertools.islice(stream, 3))
        assert decoded(stream)[small] <= 8


@example(memory_rows=14, wanted=[(0, 5), (1, 0), (2, 0)])
@given(
    memory_rows=st.integers(0, 60),
    wanted=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 23)), min_size=1, max_size=60),
)
def test_any_rows_of_several_readers_are_gathered_whatever_they_share(
    uneven: list[Path], memory_rows: int, wanted: list[tuple[int, int]]
) -> None:
    memory = StreamMemory(memory_rows * ROW_BYTES, 3)
    memory.divide([5, 1, 1])
    readers = [
        open_dataset(path).reader(TRAIN, None, part)
        for path, part in zip(uneven[:3], memory.parts, strict=True)
    ]
    contents = [Content(**LARGE), *(Content(**SMALL, seed=n) for n in (1, 2))]
    rows = [random_rows(content).rows for content in contents]
    for _ in range(2):
        choices, numbers = (np.array(column, np.int64) for column in zip(*wanted, strict=True))
        expected = [rows[choice][number] for choice, number in wanted]
        assert np.array_equal(gather_mixed(readers, choices, numbers), expected)
        sure = sum(max(part.memory_bytes, 5 * ROW_BYTES) for part in memory.parts)
        held = sum(reader.num_decoded_bytes for reader in readers)
        assert held <= max(memory.memory_bytes, sure)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7)), max_size=60),
    st.lists(st.integers(0, 5), min_size=3, max_size=3),
    st.integers(0, 90),
)
def test_what_others_leave_free_is_used_and_nobody_loses_a_part_of_its_share(
    used: list[tuple[int, int]], weights: list[int], memory_bytes: int
) -> None:
    memory = StreamMemory(memory_bytes, 3)
    memory.divide(weights)
    offsets = [np.full(8, UNVERIFIED) for _ in range(3)]
    for number, batch in used:
        part, before = memory.parts[number], [one.num_bytes for one in memory.parts]
        if offsets[number][batch] != UNVERIFIED:
            part.use(number, batch)
            continue
        fits = sum(before) + 10 <= memory_bytes
        part.keep(number, batch, np.zeros(10, np.uint8), offsets[number])
        assert offsets[number][batch] != UNVERIFIED
        for other, had in zip(memory.parts, before, strict=True):
            if other is not part:
                lost = had - other.num_bytes
                assert lost == 0 or (not fits and had > other.memory_bytes)
        sure = sum(max(one.memory_bytes, 10) for one in memory.parts)
        assert sum(one.num_bytes for one in memory.parts) <= max(memory_bytes, sure)
    counts = [10 * int((one != UNVERIFIED).sum()) for one in offsets]
    assert counts == [part.num_bytes for part in memory.parts]


def opened(paths: list[Path]) -> list[Dataset]:
    return [open_dataset(path) for path in paths]


def test_windows_that_do_not_fit_are_refused_with_all_numbers(
    uneven: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    needed, room = (180 + 5 * 18) * ROW_BYTES, 200 * ROW_BYTES
    monkeypatch.setattr(decoded_memory, "DECODED_BYTES", room)
    message = (
        f"windows of 3 shards of 6 data sets are {needed} bytes when they are decoded, and there "
        f"is room for {room}; give window_shards=2 at most"
    )
    mixed = dict.fromkeys(uneven, 1)
    with pytest.raises(UserError, match=message):
        RowStream(mixed, order="windowed", window_shards=3)
    with RowStream(uneven[0], 8, order="windowed", window_shards=3) as stream:
        state = stream.state()
    with pytest.raises(UserError, match=message):
        RowStream(mixed, state=state, change=True)
    with RowStream(mixed, state=state, replay=True) as stream:
        assert len(next(stream)) == 64


@pytest.mark.parametrize("window_shards", [1, 2, 3, 4])
def test_windows_that_fit_altogether_fit_into_their_shares(
    uneven: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_shards: int
) -> None:
    alone = write_dataset_as(tmp_path, "arrow-lz4", rows=200, shards=1)
    datasets = opened([alone, *uneven[:2]])
    needed = [200, 60 * window_shards, 6 * window_shards]
    monkeypatch.setattr(decoded_memory, "DECODED_BYTES", sum(needed) * ROW_BYTES)
    memory = memory_of(datasets, TRAIN)
    divide(memory, datasets, TRAIN, window_shards)
    check_memory(memory, datasets, TRAIN, window_shards)
    for part, rows in zip(memory.parts, needed, strict=True):
        assert part.memory_bytes >= rows * ROW_BYTES


def test_windows_of_two_shards_always_fit(
    uneven: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded_memory, "DECODED_BYTES", 1)
    datasets = opened(uneven)
    memory = memory_of(datasets, TRAIN)
    assert memory.memory_bytes == (120 + 5 * 12) * ROW_BYTES
    check_memory(memory, datasets, TRAIN, 2)


def test_mapped_shards_take_no_memory(uneven: list[Path], tmp_path: Path) -> None:
    mapped = write_dataset_as(tmp_path, "arrow", rows=3000, shards=2)
    datasets = opened([mapped, uneven[0], uneven[1]])
    memory = memory_of(datasets, TRAIN)
    divide(memory, datasets, TRAIN, 2)
    shares = [part.memory_bytes for part in memory.parts]
    assert shares[0] == 0
    assert shares[1] == pytest.approx(10 * shares[2], rel=0.01)
    check_memory(memory, opened([mapped]), TRAIN, 1 << 14)
