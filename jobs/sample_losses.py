"""Losses of every sample of every step: `RUN/losses/rank-0000/step-0000001.losses`.

Written by `train.py` where `train.record_losses` asks for it, read by `trace.py`. A file holds up
to `FILE_STEPS` steps and is named after the first it may hold; docs/trace.md shows its bytes.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.errors import CorruptDataError
from schemas.storage import flush

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


class LossLog:
    """Appends the steps of one rank; a step is handed to the system at once.

    A process that is killed leaves whole steps and at most a torn last one, which readers pass
    over. A context manager; nothing is opened before the first step.
    """

    def __init__(self, run: Path, rank: int) -> None:
        self._folder = run / LOSSES_FOLDER / f"rank-{rank:04d}"
        self._path: Path | None = None
        self._file: FileIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def append(self, losses: SampleLosses) -> None:
        """Write one step, later than those before; after an `OSError` nothing may be appended."""
        path = self._folder / _file_name(losses.step)
        if path != self._path or self._file is None:
            self.sync()
            self._close()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path, self._file = path, path.open("ab", buffering=0)
        left = memoryview(_encode(losses))
        while left:
            left = left[self._file.write(left) :]

    def sync(self) -> None:
        """Make what was written survive a loss of power."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            flush(self._folder)
            flush(self._folder.parent)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def cut_losses(run: Path, step: int) -> None:
    """Remove the steps behind `step`, of every rank; they will be taken again.

    Files of other names, such as copies, are left alone. Raises `CorruptDataError` for damage in
    front of them.
    """
    for path, first in _files(run):
        if first > step:
            path.unlink()
        elif first + FILE_STEPS - 1 > step:
            os.truncate(path, _kept_bytes(path, step))


def recorded_losses(run: Path, step: int) -> list[SampleLosses]:
    """The losses of `step`, verified, of every rank that recorded them.

    Raises `CorruptDataError` for damage in or in front of the step.
    """
    found = []
    for path in [path for path, first in _files(run) if first <= step < first + FILE_STEPS]:
        found += [losses for losses, _ in _blocks(path, step) if losses.step == step]
    return found


def _files(run: Path) -> Iterator[tuple[Path, int]]:
    """The files that `LossLog` writes, by name, each with the first step that it may hold."""
    for path in sorted((run / LOSSES_FOLDER).glob("rank-*/step-*.losses")):
        match = _NAME.fullmatch(f"{path.parent.name}/{path.name}")
        if match and path.name == _file_name(int(match[1])):
            yield path, int(match[1])


def _file_name(step: int) -> str:
    return f"step-{(step - 1) // FILE_STEPS * FILE_STEPS + 1:07d}.losses"


def _encode(losses: SampleLosses) -> bytes:
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


def _kept_bytes(path: Path, step: int) -> int:
    return max((stop for _, stop in _blocks(path, step)), default=0)


def _blocks(path: Path, last_step: int) -> Iterator[tuple[SampleLosses, int]]:
    """The steps up to `last_step` that are complete, each with the byte behind it."""
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
