"""Losses of every sample of every step, as they are recorded, cut back and found again.

Written by `train.py` where `train.record_losses` asks for it, read by `trace.py`;
`losses_file.py` knows the bytes.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from jobs.losses_file import (
    FILE_STEPS,
    SampleLosses,
    blocks,
    encode,
    file_name,
    first_of_file,
    folder_of,
    loss_files,
)
from schemas.errors import CorruptDataError
from schemas.storage import flush


@dataclass(frozen=True)
class HeldSteps:
    """The whole steps of one file, `first` to `last` (0: none), and the bytes of a torn one behind
    them. `begins` is the first step that the file may hold; it `exists` or not."""

    path: Path
    begins: int
    exists: bool = False
    first: int = 0
    last: int = 0
    torn_bytes: int = 0


class LossLog:
    """Appends the steps of one rank; a step is handed to the system at once.

    A process that is killed leaves whole steps and at most a torn last one, which readers pass
    over. A context manager; nothing is opened before the first step.
    """

    def __init__(self, run: Path, rank: int) -> None:
        self._folder = folder_of(run, rank)
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
        path = self._folder / file_name(losses.step)
        if path != self._path or self._file is None:
            self.sync()
            self._close()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path, self._file = path, path.open("ab", buffering=0)
        left = memoryview(encode(losses))
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
    for path, first in loss_files(run):
        if first > step:
            path.unlink()
        elif first + FILE_STEPS - 1 > step:
            os.truncate(path, _kept_bytes(path, step))


def recorded_losses(run: Path, step: int) -> list[SampleLosses]:
    """The losses of `step`, verified, of every rank that recorded them.

    Raises `CorruptDataError` for damage in or in front of the step.
    """
    found = []
    for path in [path for path, first in loss_files(run) if first <= step < first + FILE_STEPS]:
        found += [losses for losses, _ in blocks(path, step) if losses.step == step]
    return found


def held_steps(run: Path, rank: int, step: int) -> HeldSteps:
    """What the file holds, up to damage, in which `step` of `rank` belongs."""
    return _held(folder_of(run, rank) / file_name(step), first_of_file(step))


def recorded_behind(run: Path, rank: int, step: int) -> HeldSteps | None:
    """What the first file of `rank` behind that of `step` holds; None where there is none."""
    folder = folder_of(run, rank)
    later = [
        (path, first) for path, first in loss_files(run) if path.parent == folder and first > step
    ]
    return _held(*min(later, key=lambda pair: pair[1])) if later else None


def _held(path: Path, begins: int) -> HeldSteps:
    if not path.is_file():
        return HeldSteps(path, begins)
    first = last = stop = 0
    with suppress(CorruptDataError):
        for losses, end in blocks(path):
            first, last, stop = first or losses.step, losses.step, end
    return HeldSteps(path, begins, True, first, last, path.stat().st_size - stop)


def _kept_bytes(path: Path, step: int) -> int:
    return max((stop for _, stop in blocks(path, step)), default=0)
