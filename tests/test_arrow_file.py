import errno
import os

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arrow_file import VerifiedArrowFile, write_arrow_file
from schemas.errors import BlankstreamError, CorruptDataError
from tests.datasets import overwrite

SCHEMA = pa.schema([pa.field("number", pa.int64())], {"made": "for a test"})
REMEDY = "build it again"


def numbers(start, stop):
    return pa.record_batch([pa.array(range(start, stop), pa.int64())], schema=SCHEMA)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "numbers.arrow"
    return path, write_arrow_file(path, SCHEMA, [numbers(0, 40), numbers(40, 50)])


def read_all(path, hashes):
    file = VerifiedArrowFile(path, hashes, REMEDY)
    return [n for i in range(file.num_batches) for n in file.batch(i).column(0).to_pylist()]


def test_what_was_written_is_read_back(written):
    assert read_all(*written) == list(range(50))


def test_equal_batches_give_equal_bytes_and_hashes(written, tmp_path):
    path, hashes = written
    again = tmp_path / "again.arrow"
    assert write_arrow_file(again, SCHEMA, [numbers(0, 40), numbers(40, 50)]) == hashes
    assert again.read_bytes() == path.read_bytes()


def test_the_regions_cover_the_file_without_a_gap(written):
    path, hashes = written
    assert (hashes.offsets[0], hashes.offsets[-1]) == (0, path.stat().st_size)
    assert list(hashes.offsets) == sorted(hashes.offsets)
    assert len(hashes.offsets) == len(hashes.xxh3) + 1 == 5


def test_a_file_without_batches_is_read_back(tmp_path):
    path = tmp_path / "empty.arrow"
    assert read_all(path, write_arrow_file(path, SCHEMA, [])) == []


def test_any_flipped_byte_is_an_error_naming_the_file(written):
    path, hashes = written
    content = path.read_bytes()
    for position in range(len(content)):
        overwrite(path, position, bytes([content[position] ^ 0x40]))
        with pytest.raises(CorruptDataError, match=r"numbers\.arrow: .* is damaged: .*again"):
            read_all(path, hashes)
        overwrite(path, position, content[position : position + 1])
    assert read_all(path, hashes) == list(range(50))


def test_a_failing_write_leaves_no_file(tmp_path):
    def failing():
        yield numbers(0, 3)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_arrow_file(tmp_path / "numbers.arrow", SCHEMA, failing())
    assert list(tmp_path.iterdir()) == []


@given(size=st.integers(0, 400))
def test_another_size_is_an_error_naming_both(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("size") / "numbers.arrow"
    hashes = write_arrow_file(path, SCHEMA, [numbers(0, 9)])
    os.truncate(path, size)
    with pytest.raises(CorruptDataError, match=f"{size} bytes long, expected {hashes.bytes}"):
        VerifiedArrowFile(path, hashes, REMEDY)


def test_a_missing_file_is_an_error_naming_it(written):
    path, hashes = written
    path.unlink()
    with pytest.raises(CorruptDataError, match=r"numbers\.arrow: cannot be opened \(No such file"):
        VerifiedArrowFile(path, hashes, REMEDY)


def test_too_many_open_files_do_not_blame_the_file(written, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BlankstreamError, match="the file is not to blame: raise the limit"):
        VerifiedArrowFile(*written, REMEDY)


def test_recheck_holds_while_nothing_changes(written):
    file = VerifiedArrowFile(*written, REMEDY)
    assert file.recheck()
    assert file.version == 1


def test_bytes_changed_in_place_are_found_by_the_next_touch(written):
    path, hashes = written
    file = VerifiedArrowFile(path, hashes, REMEDY)
    file.batch(0)
    overwrite(path, hashes.offsets[2] - 1, b"\xff")
    assert not file.recheck()
    with pytest.raises(CorruptDataError, match="record batch 0"):
        file.batch(0)
    assert file.batch(1).num_rows == 10


def test_an_unverified_batch_of_a_shrunk_file_is_an_error(written):
    path, hashes = written
    file = VerifiedArrowFile(path, hashes, REMEDY)
    os.truncate(path, 100)
    with pytest.raises(CorruptDataError, match="100 bytes long"):
        file.batch(1)
    with pytest.raises(CorruptDataError, match="100 bytes long"):
        file.recheck()


def test_a_repaired_file_can_be_read_on(written):
    path, hashes = written
    content = path.read_bytes()
    file = VerifiedArrowFile(path, hashes, REMEDY)
    path.unlink()
    with pytest.raises(CorruptDataError):
        file.recheck()
    path.write_bytes(content)
    assert not file.recheck()
    assert file.batch(1).num_rows == 10


def test_an_unchanged_file_is_not_hashed_again_after_closing(written, monkeypatch):
    file = VerifiedArrowFile(*written, REMEDY)
    file.batch(0)
    file.close()
    monkeypatch.setattr(file, "_verify", lambda region: pytest.fail(f"hashed {region} again"))
    assert file.recheck()
    assert file.batch(0).num_rows == 40


def test_a_changed_file_is_verified_again_after_closing(written):
    path, hashes = written
    file = VerifiedArrowFile(path, hashes, REMEDY)
    file.batch(0)
    file.close()
    overwrite(path, hashes.offsets[2] - 1, b"\xff")
    with pytest.raises(CorruptDataError, match="record batch 0"):
        file.batch(0)


def test_arrays_outlive_the_closed_file(written):
    file = VerifiedArrowFile(*written, REMEDY)
    column = file.batch(0).column(0)
    file.close()
    assert column.to_pylist() == list(range(40))
