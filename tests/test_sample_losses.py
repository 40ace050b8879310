"""Losses of samples: whole steps or none, verified, and cut back where steps are taken again."""

import errno
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from jobs.losses_file import FILE_STEPS, SampleLosses
from jobs.sample_losses import LossLog, cut_losses, held_steps, recorded_losses
from schemas.errors import CorruptDataError
from tests.datasets import flip


def losses(step: int, rank: int = 0) -> SampleLosses:
    """Two rows of the step: the first has two samples, the second one."""
    return SampleLosses(
        step=step,
        first_row=100 * step + 2 * rank,
        num_samples=np.array([2, 1], np.uint16),
        num_labels=np.array([step, 0, 7], np.uint32),
        sums=np.array([step / 2, 0, 3.5], np.float32),
    )


def write(run: Path, steps: range, rank: int = 0) -> None:
    with LossLog(run, rank) as log:
        for step in steps:
            log.append(losses(step, rank))
        log.sync()


def steps_of(run: Path, among: Iterable[int]) -> list[int]:
    return [step for step in among if recorded_losses(run, step)]


def the_file(run: Path) -> Path:
    (found,) = (run / "losses").rglob("*.losses")
    return found


def test_what_was_recorded_is_read_back_for_every_rank(tmp_path: Path) -> None:
    for rank in (0, 1):
        write(tmp_path, range(1, 6), rank)
    found = recorded_losses(tmp_path, 4)
    assert [part.first_row for part in found] == [400, 402]
    for rank, part in enumerate(found):
        expected = losses(4, rank)
        for name in ("num_samples", "num_labels", "sums"):
            assert getattr(part, name).tolist() == getattr(expected, name).tolist()


def test_a_run_that_recorded_nothing_has_none(tmp_path: Path) -> None:
    with LossLog(tmp_path, 0) as log:
        log.sync()
    cut_losses(tmp_path, 3)
    assert recorded_losses(tmp_path, 1) == []
    assert not (tmp_path / "losses").exists()


def test_what_a_file_holds_is_told_up_to_damage(tmp_path: Path) -> None:
    assert not held_steps(tmp_path, 0, 2).exists
    write(tmp_path, range(4, 7))
    size = the_file(tmp_path).stat().st_size
    held = held_steps(tmp_path, 0, 2)
    assert (held.exists, held.first, held.last, held.torn_bytes) == (True, 4, 6, 0)
    flip(the_file(tmp_path), size - 1)
    held = held_steps(tmp_path, 0, 2)
    assert (held.exists, held.first, held.last, held.torn_bytes) == (True, 4, 5, size // 3)


def test_a_step_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with LossLog(tmp_path, 0) as log:
        log.append(losses(1))
        assert len(recorded_losses(tmp_path, 1)) == 1


@pytest.mark.parametrize("step", [0, 3, FILE_STEPS - 1, FILE_STEPS, FILE_STEPS + 2])
def test_steps_behind_the_checkpoint_are_cut_off(tmp_path: Path, step: int) -> None:
    around = range(FILE_STEPS - 1, FILE_STEPS + 5)
    among = [*range(1, 9), *range(FILE_STEPS - 3, FILE_STEPS + 9)]
    for rank in (0, 1):
        write(tmp_path, range(1, 6), rank)
        write(tmp_path, around, rank)
    cut_losses(tmp_path, step)
    kept = [one for one in [*range(1, 6), *around] if one <= step]
    assert steps_of(tmp_path, among) == kept
    write(tmp_path, range(step + 1, step + 3))
    assert steps_of(tmp_path, among) == [*kept, step + 1, step + 2]


@pytest.mark.parametrize("name", ["step-0000001 (copy)", "step-0000002", "step-1", "step-x"])
def test_files_of_other_names_are_left_alone(tmp_path: Path, name: str) -> None:
    write(tmp_path, range(1, 4))
    copy = the_file(tmp_path).with_name(f"{name}.losses")
    whole = the_file(tmp_path).read_bytes()
    copy.write_bytes(whole)
    aside = tmp_path / "losses" / "rank-0000 (copy)" / "step-0000001.losses"
    aside.parent.mkdir()
    aside.write_bytes(whole)
    cut_losses(tmp_path, 1)
    assert copy.read_bytes() == aside.read_bytes() == whole
    assert [len(recorded_losses(tmp_path, step)) for step in (1, 2)] == [1, 0]


@pytest.mark.fault
def test_a_torn_last_step_is_passed_over_and_cut_off(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    file = the_file(tmp_path)
    whole = file.read_bytes()
    for size in range(len(whole) * 2 // 3, len(whole)):
        file.write_bytes(whole[:size])
        assert steps_of(tmp_path, range(1, 5)) == [1, 2]
        cut_losses(tmp_path, 2)
        assert file.stat().st_size == len(whole) * 2 // 3


@pytest.mark.fault
def test_no_flipped_bit_gives_wrong_losses(tmp_path: Path) -> None:
    write(tmp_path, range(1, 3))
    file = the_file(tmp_path)
    size = file.stat().st_size
    for position in range(size // 2):
        flip(file, position)
        with pytest.raises(
            CorruptDataError, match=r"bytes 0\.\.\d+ are damaged: expected xxh3 \w{16},"
        ):
            recorded_losses(tmp_path, 1)
        flip(file, position)
    assert len(recorded_losses(tmp_path, 1)) == 1


@pytest.mark.fault
def test_damage_in_front_of_the_checkpoint_is_an_error_behind_it_none(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    file = the_file(tmp_path)
    flip(file, file.stat().st_size - 1)
    with pytest.raises(CorruptDataError, match="move the file away: the losses of its steps"):
        cut_losses(tmp_path, 3)
    cut_losses(tmp_path, 2)
    assert steps_of(tmp_path, range(1, 5)) == [1, 2]


@contextmanager
def disk_of(num_bytes: int) -> Iterator[None]:
    """No file grows beyond that: a write takes what there is room for, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def large(step: int) -> SampleLosses:
    """One row of 65,535 samples: half a megabyte."""
    counts, sums = np.arange(65_535, dtype=np.uint32), np.full(65_535, step, np.float32)
    return SampleLosses(step, step, np.array([65_535], np.uint16), counts, sums)


@pytest.mark.fault
def test_a_step_that_the_disk_has_no_room_for_is_an_error_and_the_last(tmp_path: Path) -> None:
    with LossLog(tmp_path, 0) as log:
        log.append(large(1))
        whole = the_file(tmp_path).stat().st_size
        with disk_of(whole * 3 // 2), pytest.raises(OSError, match="File too large") as caught:
            log.append(large(2))
    assert caught.value.errno == errno.EFBIG
    assert the_file(tmp_path).stat().st_size == whole * 3 // 2
    assert steps_of(tmp_path, range(1, 4)) == [1]
    cut_losses(tmp_path, 1)
    with LossLog(tmp_path, 0) as log:
        log.append(large(2))
    assert steps_of(tmp_path, range(1, 4)) == [1, 2]
