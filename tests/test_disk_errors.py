"""Which disk is named when one refuses, and what to do about it."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from jobs import disk_errors
from jobs.disk_errors import disk_error
from schemas.storage import TEMPORARY_MARK

FOLDER_OF_TEMPORARY_FILES = r"the folder of temporary files, {}, cannot be written"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What TMPDIR names."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def full(name: object = None, number: int = errno.ENOSPC) -> OSError:
    return OSError(number, os.strerror(number), None if name is None else str(name))


def test_a_file_of_the_data_set_is_on_its_disk(tmp_path: Path, temporary: Path) -> None:
    for place in (tmp_path / "d", temporary / "d"):  # A data set may lie below TMPDIR.
        said = str(disk_error(str(place), full(place / "shards" / "x")))
        assert said == (
            f"{place}: cannot be written (No space left on device {place}/shards/x); what was "
            "finished stays: free space on that disk, and run the same command again"
        )


def test_a_temporary_file_is_on_the_disk_of_tmpdir(tmp_path: Path, temporary: Path) -> None:
    said = str(disk_error(str(tmp_path / "d"), full(temporary / "blankstream-x" / "spool")))
    assert said == (
        f"{tmp_path}/d: the folder of temporary files, {temporary}, cannot be written (No space "
        f"left on device {temporary}/blankstream-x/spool); what was finished stays: free space on "
        "that disk, or set TMPDIR to a folder on another one, and run the same command again"
    )


def test_a_data_set_behind_a_url_needs_the_disk_for_temporary_files_only(temporary: Path) -> None:
    expected = f"s3://b/d: {FOLDER_OF_TEMPORARY_FILES.format(temporary)}"
    for error in (full(), full(temporary / "x"), full(number=errno.EDQUOT), full("/else/where")):
        assert str(disk_error("s3://b/d", error)).startswith(expected)
        assert "TMPDIR" in str(disk_error("s3://b/d", error))
    broken = str(disk_error("s3://b/d", ConnectionResetError(errno.ECONNRESET, "reset")))
    assert broken.startswith("s3://b/d: cannot be written (Connection reset by peer)")


@pytest.mark.parametrize(
    ("free", "other", "is_there"),
    [(0, 10**9, True), (10**9, 0, False), (10**6, 10**9, True), (10**9, 10**9, None), (0, 0, None)],
)
def test_without_a_name_the_fuller_disk_is_named_or_both(
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    other: int,
    is_there: bool | None,
) -> None:
    place = Path("/proc")  # Another file system.
    sizes = {temporary: free, place: other}
    monkeypatch.setattr(disk_errors, "_free_bytes", sizes.__getitem__)
    said = str(disk_error(str(place), full()))
    assert (FOLDER_OF_TEMPORARY_FILES.format(temporary) in said) == (is_there is True)
    assert (f"free space on that disk, or on that of TMPDIR ({temporary})" in said) == (
        is_there is None
    )
    assert ("free space on that disk, and run" in said) == (is_there is False)
    one_disk = str(disk_error(str(tmp_path / "not" / "there"), full()))
    assert "free space on that disk, and run" in one_disk


def test_a_file_that_somebody_deleted_while_it_was_written_is_called_that(
    tmp_path: Path, temporary: Path
) -> None:
    place = str(tmp_path / "d")
    name = f"{place}/shards/draft{TEMPORARY_MARK}node-1-ab"
    arrow = FileNotFoundError(errno.ENOENT, f"Failed to open local file '{name}'. Detail: [2]")
    for error in (full(name, errno.ENOENT), arrow, full(temporary / "x", errno.ENOENT)):
        assert "a file that was being written is gone" in str(disk_error(place, error))
    other = str(disk_error(place, full(f"{place}/x", errno.ENOENT)))
    assert "look at the disk, and run the same command again" in other


def test_what_forbids_writing_and_too_many_open_files_have_their_own_remedy(
    tmp_path: Path, temporary: Path
) -> None:
    place = str(tmp_path / "d")
    for number, remedy in (
        (errno.EROFS, "stays: make it writable, and run"),
        (errno.EDQUOT, "stays: free space within the quota, and run"),
        (errno.EIO, "stays: look at the disk, and run"),
        (errno.EMFILE, "raise the limit of open files (ulimit -n), and run"),
    ):
        assert remedy in str(disk_error(place, full(number=number)))
    assert "ulimit -n), and run" in str(disk_error("s3://b/d", full(number=errno.EMFILE)))
    assert "cannot be written (odd)" in str(disk_error(place, OSError("odd")))
