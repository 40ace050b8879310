"""Mappings: bytes of files without descriptors, which live as long as anything refers to them."""

import errno
import gc
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.shard_formats import mappings
from pipeline.shard_formats.mappings import HOLDS_DESCRIPTORS, map_file

CONTENT = bytes(range(250)) * 100
SELF = Path("/proc/self")

needs_proc = pytest.mark.skipif(
    HOLDS_DESCRIPTORS or not (SELF / "maps").exists(), reason="looks into Linux's /proc"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mapped.bin"
    path.write_bytes(CONTENT)
    return path


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def mapped(path: Path) -> pa.Buffer:
    with opened(path) as descriptor:
        return map_file(descriptor, len(CONTENT))


def times_mapped(path: Path) -> int:
    gc.collect()
    return (SELF / "maps").read_text().count(str(path))


def test_a_mapping_is_the_bytes_of_the_file_read_only(path: Path) -> None:
    buffer = mapped(path)
    assert buffer.to_pybytes() == CONTENT
    assert not buffer.is_mutable
    assert memoryview(buffer).readonly
    assert buffer.address % mmap.PAGESIZE == 0


def test_changes_of_the_file_show_through(path: Path) -> None:
    buffer = mapped(path)
    with path.open("r+b") as stream:
        stream.write(b"\xff")
    assert buffer[0] == 0xFF


@needs_proc
def test_a_mapping_takes_no_descriptor(path: Path) -> None:
    before = len(os.listdir(SELF / "fd"))
    buffers = [mapped(path) for _ in range(2000)]
    assert len(os.listdir(SELF / "fd")) == before
    assert all(buffer[7] == 7 for buffer in buffers)


@needs_proc
@pytest.mark.parametrize(
    "derive",
    [
        lambda buffer: buffer.slice(300, 50),
        lambda buffer: np.frombuffer(buffer, np.uint8)[300:350],
        lambda buffer: pa.Array.from_buffers(pa.uint8(), 350, [None, buffer])[300:].to_numpy(),
    ],
)
def test_what_was_made_of_it_keeps_it_mapped(path: Path, derive: object) -> None:
    part = derive(mapped(path))  # type: ignore[operator]
    assert times_mapped(path) == 1
    assert bytes(memoryview(part)) == CONTENT[300:350]
    del part
    assert times_mapped(path) == 0


@needs_proc
def test_a_forked_process_lets_go_of_its_own_pages_only(path: Path) -> None:
    buffer = mapped(path)
    child = os.fork()
    if not child:
        del buffer
        os._exit(0 if times_mapped(path) == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert buffer.to_pybytes() == CONTENT


@needs_proc
def test_what_cannot_be_mapped_is_an_error_of_the_system(path: Path) -> None:
    with opened(path) as descriptor, pytest.raises(OSError, match="allocate") as caught:
        map_file(descriptor, 1 << 62)
    assert caught.value.errno == errno.ENOMEM
    with pytest.raises(OSError, match="descriptor") as caught:
        map_file(-1, 5)
    assert caught.value.errno == errno.EBADF
    assert times_mapped(path) == 0


def test_without_the_call_python_maps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mappings, "_CALLS", None)
    assert mapped(path).to_pybytes() == CONTENT
    with opened(path) as descriptor, pytest.raises(OSError, match="greater than file size"):
        map_file(descriptor, len(CONTENT) + 1)
