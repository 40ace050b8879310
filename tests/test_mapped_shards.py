"""Mapped shards: where rows are found in files that change, and what is not hashed before it is
needed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline import dataset as dataset_module
from pipeline.dataset import open_dataset
from pipeline.shard_formats.arrow_messages import stated_rows
from pipeline.shard_reading.reader import RowReader
from pipeline.stream import RowStream
from schemas.errors import CorruptDataError
from schemas.manifest import TRAIN
from tests.datasets import Content, overwrite, random_rows, write_dataset

CONTENT = Content(rows=40, shards=3, batch_rows=5)
ROWS = random_rows(CONTENT).rows
ALL = np.arange(len(ROWS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "d", CONTENT)


def reader_of(folder: Path) -> RowReader:
    return open_dataset(folder).reader(TRAIN)


def replace_with_a_copy(path: Path) -> None:
    """The same bytes in another file, under the same name; the old one has others."""
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    with path.open("r+b") as old:
        os.replace(copy, path)
        old.write(b"\xff" * os.fstat(old.fileno()).st_size)


def region_of(folder: Path, batch: int) -> tuple[Path, int, int]:
    """First shard, and where a record batch of it begins and ends."""
    (first, *_) = open_dataset(folder).reader(TRAIN)._table
    start, stop = first.hashes.offsets[batch + 1 : batch + 3]
    return folder / first.path, start, stop


def lie_about_rows(folder: Path, rows: int) -> None:
    """Let the first record batch state another number of rows."""
    path, start, stop = region_of(folder, 0)
    content = path.read_bytes()[start:stop]
    for place in range(8, 400, 8):
        changed = content[:place] + rows.to_bytes(8, "little") + content[place + 8 :]
        if content[place] == CONTENT.batch_rows and stated_rows(memoryview(changed)) == rows:
            overwrite(path, start, changed)
            return
    raise AssertionError("no place for the number of rows was found")


@pytest.mark.fault
def test_rows_are_found_where_a_file_is_mapped_anew(folder: Path) -> None:
    """Between the look at a file and the hash of its record batch another one takes its place."""
    reader = reader_of(folder)
    shards, verify = reader._shards, reader._shards.verify
    kept: list[pa.Buffer | None] = []  # so that nothing is mapped where something was

    def late(*arguments: object) -> bool:
        if not kept:
            kept.extend(shard._file._buffer for shard in shards._open)  # type: ignore[attr-defined]
            for path in folder.rglob("0*.arrow"):
                replace_with_a_copy(path)
        return verify(*arguments)  # type: ignore[arg-type]

    shards.verify = late  # type: ignore[method-assign, assignment]
    assert np.array_equal(reader.gather(ALL), ROWS)
    assert np.array_equal(reader.gather(ALL), ROWS)
    assert len(kept) == CONTENT.shards


@pytest.mark.fault
def test_a_shard_that_was_closed_is_mapped_again_and_not_hashed(folder: Path) -> None:
    reader = reader_of(folder)
    reader.gather(ALL)
    hashed = reader.num_verified
    reader.close()
    assert np.array_equal(reader.gather(ALL), ROWS)
    assert reader.num_verified == hashed


def test_the_first_record_batch_is_hashed_when_a_row_of_it_is_wanted(folder: Path) -> None:
    path, _, stop = region_of(folder, 0)
    overwrite(path, stop - 100, b"\xff")
    reader = reader_of(folder)
    assert np.array_equal(reader.gather(ALL[5:]), ROWS[5:])
    with pytest.raises(CorruptDataError, match=r"record batch 0 \(bytes .* is damaged"):
        reader.gather(ALL[4:])


@pytest.mark.fault
@pytest.mark.parametrize("rows", [0, 4, 6, 10_000, 2**63 - 1])
@pytest.mark.parametrize("wanted", [0, 5, 12])
def test_a_first_record_batch_that_lies_is_damaged_whatever_is_read(
    folder: Path, rows: int, wanted: int
) -> None:
    """Shards of 13 or 14 rows: three record batches of 5, or of 6 as the lie says."""
    lie_about_rows(folder, rows)
    with pytest.raises(CorruptDataError, match=r"record batch 0 \(bytes .* is damaged"):
        reader_of(folder).gather(np.array([wanted]))


def test_auto_is_windowed_for_more_shards_than_are_mapped_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def order(**arguments: object) -> str:
        with RowStream(folder, 8, **arguments) as stream:  # type: ignore[arg-type]
            next(stream)
            return str(stream.state()["segments"][-1]["order"])

    assert order() == "global"
    with RowStream(folder, 8) as stream:
        before = stream.state()
    monkeypatch.setattr(dataset_module, "MAX_OPEN_SHARDS", 2)
    assert order() == "windowed/64"
    assert order(order="global") == "global"
    assert order(state=before) == "global"
