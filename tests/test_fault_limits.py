"""What no reader can promise, shown: each limit stands in docs/faults.md."""

import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.dataset import open_dataset
from pipeline.shard_reading import reader as reader_module
from pipeline.shard_reading.copied_memory import copy_rows
from pipeline.shard_reading.mapped_shards import MappedShard
from pipeline.shard_reading.open_shards import MAPPED_FORMAT
from schemas.errors import CorruptDataError
from schemas.samples import SHARD_FORMATS
from tests.datasets import Content, flip, random_rows
from tests.fault_matrix import folder_in_memory
from tests.format_datasets import write_dataset_as

pytestmark = pytest.mark.fault

CONTENT = Content(rows=36, shards=3, batch_rows=4)
ROWS = random_rows(CONTENT).rows
ALL, STRUCK = np.arange(36), 17
DECODED = [name for name in SHARD_FORMATS if name != MAPPED_FORMAT]


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder whose pages the system does not store just when a test hopes that it does not."""
    with folder_in_memory() as folder:
        yield folder


@contextmanager
def written_through(path: Path) -> Iterator[mmap.mmap]:
    """A file as another process has it mapped for writing, each page written to a moment ago: a
    further write to a page changes no time of the file until the system has stored the page."""
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as memory:
        for start in range(0, len(memory), mmap.PAGESIZE):
            memory[start] = memory[start]
        yield memory


def identity(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def shard_of(path: Path) -> Path:
    """The second of three shards, which holds row `STRUCK`."""
    return sorted((path / "shards" / "train").iterdir())[1]


def flip_unseen(shard: Path, memory: mmap.mmap, position: int) -> None:
    before = identity(shard)
    memory[position] ^= 1
    assert identity(shard) == before


def place_of_row(shard: Path) -> int:
    return shard.read_bytes().index(ROWS[STRUCK].tobytes())


def test_a_change_that_keeps_inode_size_and_times_goes_unseen_where_it_is_mapped_and_verified(
    in_memory: Path,
) -> None:
    path = write_dataset_as(in_memory, "arrow", **vars(CONTENT))
    shard = shard_of(path)
    with written_through(shard) as memory:
        reader = open_dataset(path).reader("train")
        assert np.array_equal(reader.gather(ALL), ROWS)
        flip_unseen(shard, memory, place_of_row(shard))
        found = reader.gather(ALL)
        assert np.flatnonzero((found != ROWS).any(axis=1)).tolist() == [STRUCK]
        for _ in range(2):
            with pytest.raises(CorruptDataError, match=r"00001\.arrow: record batch 1"):
                open_dataset(path).reader("train").gather(ALL)


def test_such_a_change_is_found_where_it_comes_before_the_first_touch(in_memory: Path) -> None:
    path = write_dataset_as(in_memory, "arrow", **vars(CONTENT))
    shard = shard_of(path)
    with written_through(shard) as memory:
        reader = open_dataset(path).reader("train")
        assert np.array_equal(reader.gather(ALL[::12]), ROWS[::12])
        flip_unseen(shard, memory, place_of_row(shard))
        with pytest.raises(CorruptDataError, match=r"00001\.arrow: record batch 1"):
            reader.gather(ALL)


@pytest.mark.parametrize("shard_format", DECODED)
def test_such_a_change_does_not_reach_rows_that_were_decoded(
    in_memory: Path, shard_format: str
) -> None:
    path = write_dataset_as(in_memory, shard_format, **vars(CONTENT))
    shard = shard_of(path)
    with written_through(shard) as memory:
        reader = open_dataset(path).reader("train")
        assert np.array_equal(reader.gather(ALL), ROWS)
        for position in range(len(memory)):
            memory[position] ^= 1
        assert np.array_equal(reader.gather(ALL), ROWS)
        with pytest.raises(CorruptDataError, match=r"00001\.\w+: "):
            open_dataset(path).reader("train").gather(ALL)


def test_a_change_between_the_last_look_and_the_copy_is_in_that_copy_and_in_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dataset_as(tmp_path, "arrow", **vars(CONTENT))
    shard, reader = shard_of(path), open_dataset(path).reader("train")
    position = place_of_row(shard)
    assert np.array_equal(reader.gather(ALL), ROWS)

    def changed_then_copied(*arguments: Any) -> list[NDArray[np.void]]:
        flip(shard, position)
        return copy_rows(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(reader_module, "copy_rows", changed_then_copied)
        found = reader.gather(ALL)
    assert np.flatnonzero((found != ROWS).any(axis=1)).tolist() == [STRUCK]
    with pytest.raises(CorruptDataError, match=r"00001\.arrow: record batch 1"):
        reader.gather(ALL)


@pytest.mark.parametrize("method", ["verify", "refresh", "holds"])
def test_a_file_that_is_replaced_by_an_equal_one_in_the_middle_of_a_gather_is_mapped_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    path = write_dataset_as(tmp_path, "arrow", **vars(CONTENT))
    shard, original = shard_of(path), getattr(MappedShard, method)

    def replaced_first(mapped: MappedShard, *arguments: int) -> object:
        fresh = shard.with_name("fresh")
        fresh.write_bytes(shard.read_bytes())
        fresh.replace(shard)
        return original(mapped, *arguments)

    reader = open_dataset(path).reader("train")
    for numbers in (ALL[::12], ALL, ALL[::-1]):
        with monkeypatch.context() as patch:
            patch.setattr(MappedShard, method, once(replaced_first, original))
            assert np.array_equal(reader.gather(numbers), ROWS[numbers])


def once(first: Callable[..., object], then: Callable[..., object]) -> Callable[..., object]:
    """A method that is `first` when it is called first."""
    left = [first]
    return lambda *arguments: (left.pop() if left else then)(*arguments)


TRUNCATING = """
import os, resource, sys
import numpy as np
from pipeline.shard_reading import reader
from pipeline.dataset import open_dataset
from pipeline.shard_reading.copied_memory import copy_rows
from pipeline.shard_reading.mapped_shards import MappedShard
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
def copied(*arguments):
    os.truncate(sys.argv[2], 0)
    return copy_rows(*arguments)
rows = open_dataset(sys.argv[1]).reader("train")
rows.gather(np.arange(36))
reader.copy_rows = copied
rows.gather(np.arange(36))
"""


def test_a_file_that_is_truncated_between_the_last_look_and_the_copy_ends_the_process(
    tmp_path: Path,
) -> None:
    path = write_dataset_as(tmp_path, "arrow", **vars(CONTENT))
    command = [sys.executable, "-c", TRUNCATING, str(path), str(shard_of(path))]
    root = Path(__file__).parent.parent
    child = subprocess.run(command, cwd=root, env={**os.environ}, check=False)
    assert child.returncode == -signal.SIGBUS
