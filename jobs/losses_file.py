"""Files of sample losses: `RUN/losses/rank-0000/step-0000001.losses`, their names and bytes.

Stands below `sample_losses.py`. A file holds up to `FILE_STEPS` steps and is named after the first
it may hold; docs/trace.md shows its bytes.
"""

import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.errors import CorruptDataError

LOSSES_FOLDER = "losses"
FILE_STEPS = 4096

_NAME = re.compile(r"rank-\d{4,}/step-(\d{7,})\.losses")
_MAGIC = b"BSLOSS01"
_HEADER, _HASH = struct.Struct("<8sQQII"), struct.Struct("<Q")
_SAMPLES, _LABELS, _SUMS = "<u2", "<u4", "<f4"


@dataclass(frozen=True)
class SampleLosses:
    """What one rank lost in one step, rows and their samples in order.

    The rows are the stream's from `first_row` on; `num_samples` (n,) counts the samples of each.
    `num_labels` and `sums` (float32, in nats), each (samples,), are of all of them in order.
    """

    step: int
    first_row: int
    num_samples: NDArray[np.uint16]
    num_labels: NDArray[np.uint32]
    sums: NDArray[np.float32]


def folder_of(run: Path, rank: int) -> Path:
    """Where the files of `rank` are."""
    return run / LOSSES_FOLDER / f"rank-{rank:04d}"


def loss_files(run: Path) -> Iterator[tuple[Path, int]]:
    """The files of a run, by name, each with the first step that it may hold."""
    for path in sorted((run / LOSSES_FOLDER).glob("rank-*/step-*.losses")):
        match = _NAME.fullmatch(f"{path.parent.name}/{path.name}")
        if match and path.name == file_name(int(match[1])):
            yield path, int(match[1])


def file_name(step: int) -> str:
    """Name of the file in which `step` belongs."""
    return f"step-{first_of_file(step):07d}.losses"


def first_of_file(step: int) -> int:
    """The first step that the file may hold in which `step` belongs."""
    return (step - 1) // FILE_STEPS * FILE_STEPS + 1


def encode(losses: SampleLosses) -> bytes:
    """The bytes of one step; `blocks` is the inverse."""
    sizes = len(losses.num_samples), len(losses.sums)
    header = _hashed(_HEADER.pack(_MAGIC, losses.step, losses.first_row, *sizes))
    arrays = (
        losses.num_samples.astype(_SAMPLES).tobytes(),
        losses.num_labels.astype(_LABELS).tobytes(),
        losses.sums.astype(_SUMS).tobytes(),
    )
    return _hashed(b"".join((header, *arrays)))


def _hashed(content: bytes) -> bytes:
    return content + _HASH.pack(xxhash.xxh3_64_intdigest(content))


def blocks(path: Path, last_step: int = sys.maxsize) -> Iterator[tuple[SampleLosses, int]]:
    """The steps of a file up to `last_step` that are complete, each with the byte behind it.

    Raises `CorruptDataError` for damage in or in front of them.
    """
    content, start = memoryview(path.read_bytes()), 0
    while (head := _verified(path, content, start, _HEADER.size)) is not None:
        magic, step, first_row, rows, samples = _HEADER.unpack(head)
        if magic != _MAGIC:
            raise CorruptDataError(f"{path}: unknown losses {magic!r}; use the release of the run")
        first = len(head) + _HASH.size
        block = _verified(path, content, start, first + 2 * rows + 8 * samples)
        if block is None or step > last_step:
            return
        start += len(block) + _HASH.size
        yield SampleLosses(step, first_row, *_arrays(block[first:], rows, samples)), start
        if step == last_step:
            return


def _verified(path: Path, content: memoryview, start: int, size: int) -> memoryview | None:
    """The `size` bytes from `start` on, which the hash behind them fits; None behind the end."""
    stop = start + size
    if len(content) < stop + _HASH.size:
        return None
    (expected,) = _HASH.unpack_from(content, stop)
    found = xxhash.xxh3_64_intdigest(content[start:stop])
    if found != expected:
        raise CorruptDataError(
            f"{path}: bytes {start}..{stop} are damaged: expected xxh3 {expected:016x}, found "
            f"{found:016x}; move the file away: the losses of its steps are lost, the run is not"
        )
    return content[start:stop]


def _arrays(
    inside: memoryview, rows: int, samples: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint32], NDArray[np.float32]]:
    return (
        np.frombuffer(inside, _SAMPLES, rows),
        np.frombuffer(inside, _LABELS, samples, 2 * rows),
        np.frombuffer(inside, _SUMS, samples, 2 * rows + 4 * samples),
    )
