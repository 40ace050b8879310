import contextlib
import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.shard_formats.arrow_file
from pipeline.shard_formats.arrow_file import ArrowFileWriter, VerifiedArrowFile, write_arrow_file
from schemas.errors import CorruptDataError, DatasetError
from tests.datasets import overwrite
from tests.test_verified_file import hashes_of

SCHEMA = pa.schema(
    [pa.field("number", pa.int64()), pa.field("name", pa.string())], {"made": "for a test"}
)
REMEDY = "build it again"
COMPRESSIONS = ["", "lz4", "zstd"]
EXAMPLES = 20_000 if os.environ.get("BLANKSTREAM_FULL") else 300


def numbers(start, stop):
    names = [f"number {number}" for number in range(start, stop)]
    return pa.record_batch([pa.array(range(start, stop)), pa.array(names)], schema=SCHEMA)


def write(path, compression, *batches):
    writer = ArrowFileWriter(path, SCHEMA, compression)
    for batch in batches:
        writer.append(batch)
    return writer.close()


@pytest.fixture(params=COMPRESSIONS)
def written(request, tmp_path):
    path = tmp_path / "numbers.arrow"
    return path, write(path, request.param, numbers(0, 400), numbers(400, 500))


def read_all(path, hashes):
    file = VerifiedArrowFile(path, hashes, REMEDY)
    return [n for i in range(file.num_batches) for n in file.batch(i).column(0).to_pylist()]


def test_what_was_written_is_read_back(written):
    assert read_all(*written) == list(range(500))


def test_a_file_of_the_expected_schema_is_read_whatever_its_metadata(written):
    file = VerifiedArrowFile(*written, REMEDY, SCHEMA.remove_metadata())
    assert file.batch(0).num_rows == 400


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        (SCHEMA.remove(1), "number int64 or null, found number int64 or null, name string or null"),
        (SCHEMA.set(0, pa.field("number", pa.int64(), False)), "number int64, name string or null"),
        (
            pa.schema([SCHEMA.field(1), SCHEMA.field(0)]),
            "name string or null, number int64 or null",
        ),
        (pa.schema([]), "none, found number"),
    ],
)
def test_other_columns_than_those_expected_are_refused_naming_both(written, expected, told):
    file = VerifiedArrowFile(*written, REMEDY, expected)
    message = rf"numbers\.arrow: expected the columns {told}.*; build it again"
    with pytest.raises(DatasetError, match=message):
        file.batch(0)


@pytest.mark.parametrize("column", [pa.array([[1], None]), pa.array([[1], [None, 2]])])
def test_nulls_are_refused_where_a_schema_is_expected(tmp_path, column):
    schema = pa.schema([pa.field("numbers", pa.list_(pa.int64()))])
    batch = pa.record_batch([column], schema=schema)
    hashes = write_arrow_file(tmp_path / "n.arrow", schema, [batch])
    assert VerifiedArrowFile(tmp_path / "n.arrow", hashes, REMEDY).batch(0).equals(batch)
    file = VerifiedArrowFile(tmp_path / "n.arrow", hashes, REMEDY, schema)
    with pytest.raises(DatasetError, match="record batch 0 has nulls, expected none; build"):
        file.batch(0)


def test_any_arrow_reader_opens_the_file(written):
    table = pa.ipc.open_file(pa.memory_map(str(written[0]))).read_all()
    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert table.column("number").to_pylist() == list(range(500))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_equal_batches_give_equal_bytes_and_hashes(tmp_path, compression):
    first, second = tmp_path / "1.arrow", tmp_path / "2.arrow"
    batches = numbers(0, 400), numbers(400, 500)
    hashes = write(first, compression, *batches)
    second.write_bytes(b"what was there is replaced" * 10_000)
    assert write(second, compression, *batches) == hashes
    assert second.read_bytes() == first.read_bytes()


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compression_makes_the_file_smaller(tmp_path, compression):
    plain = write(tmp_path / "1.arrow", "", numbers(0, 1000))
    assert write(tmp_path / "2.arrow", compression, numbers(0, 1000)).bytes < 0.7 * plain.bytes


def test_the_regions_cover_the_file_without_a_gap(written):
    path, hashes = written
    assert hashes == hashes_of(path.read_bytes(), hashes.offsets)
    assert len(hashes.offsets) == len(hashes.xxh3) + 1 == 5


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_file_without_batches_is_read_back(tmp_path, compression):
    path = tmp_path / "empty.arrow"
    assert read_all(path, write(path, compression)) == []


def test_batches_of_a_plain_file_are_not_copied(tmp_path):
    path = tmp_path / "numbers.arrow"
    hashes = write_arrow_file(path, SCHEMA, [numbers(0, 9), numbers(9, 99)])
    file = VerifiedArrowFile(path, hashes, REMEDY)
    for index in range(2):
        address = file.batch(index).column("number").buffers()[1].address
        start, stop = hashes.offsets[index + 1 : index + 3]
        assert file.address + start <= address < file.address + stop


def test_flipped_bits_are_errors_naming_the_file(written):
    path, hashes = written
    content = path.read_bytes()
    edges = [edge + by for edge in hashes.offsets for by in (-1, 0)]
    for position in {*edges[1:-1], *range(0, len(content), 97)}:
        overwrite(path, position, bytes([content[position] ^ 1 << position % 8]))
        with pytest.raises(CorruptDataError, match=r"numbers\.arrow: .* is damaged: .*again"):
            read_all(path, hashes)
        overwrite(path, position, content[position : position + 1])
    assert read_all(path, hashes) == list(range(500))


def test_arrays_outlive_the_closed_file(written):
    file = VerifiedArrowFile(*written, REMEDY)
    column = file.batch(0).column(0)
    file.close()
    assert column.to_pylist() == list(range(400))


def test_every_batch_is_read_from_its_own_region_whatever_the_footer_says(written):
    path, hashes = written
    content = bytearray(path.read_bytes())
    content[hashes.offsets[-2] :] = bytes(hashes.bytes - hashes.offsets[-2])
    path.write_bytes(content)
    assert read_all(path, hashes_of(bytes(content), hashes.offsets)) == list(range(500))


def test_damage_that_fits_its_hashes_is_an_error_too(written):
    """As in a data set of a stranger: bytes and hashes may say anything."""
    path, hashes = written
    content, rng = path.read_bytes(), np.random.default_rng(1)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(EXAMPLES):
        changed = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 4)):
            changed[position] = rng.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_all(path, hashes_of(bytes(changed), hashes.offsets))
            outcomes["read"] += 1
        except DatasetError as error:
            message = str(error)
            outcomes["refused"] += message.startswith(str(path)) and message.endswith(REMEDY)
    assert min(outcomes.values()) > 0
    assert sum(outcomes.values()) == EXAMPLES


@given(cut=st.integers(0, 200), position=st.integers(0, 1000), zeros=st.integers(1, 200))
def test_messages_that_end_early_or_hold_zeros_are_errors_too(
    tmp_path_factory, cut, position, zeros
):
    path = tmp_path_factory.mktemp("zeros") / "numbers.arrow"
    hashes = write(path, "zstd", numbers(0, 200))
    start, stop = hashes.offsets[1:3]
    batch = bytearray(path.read_bytes()[start:stop])
    batch[position : position + zeros] = bytes(zeros)
    content = path.read_bytes()[:start] + batch[: len(batch) - cut] + bytes(8)
    path.write_bytes(content)
    offsets = (0, start, len(content) - 8, len(content))
    file = VerifiedArrowFile(path, hashes_of(content, offsets), REMEDY)
    with contextlib.suppress(DatasetError):
        assert file.batch(0).num_columns == 2


def test_a_batch_that_would_fill_the_memory_is_refused_before_it_is_decompressed(
    tmp_path, monkeypatch
):
    path = tmp_path / "numbers.arrow"
    hashes = write(path, "zstd", numbers(0, 400))
    monkeypatch.setattr(pipeline.shard_formats.arrow_file, "MAX_BATCH_BYTES", 1000)
    file = VerifiedArrowFile(path, hashes, REMEDY)
    monkeypatch.setattr(pa.ipc, "read_record_batch", lambda *_: pytest.fail("decompressed"))
    with pytest.raises(DatasetError, match=r"batch 0 decompresses to \d+ bytes, .* most 1000"):
        file.batch(0)


def test_a_batch_that_could_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline.shard_formats.arrow_file, "MAX_BATCH_BYTES", 1000)
    with pytest.raises(ValueError, match="at most 1000 in a compressed file; write smaller ones"):
        write(tmp_path / "numbers.arrow", "lz4", numbers(0, 400))
    write(tmp_path / "numbers.arrow", "", numbers(0, 400))
