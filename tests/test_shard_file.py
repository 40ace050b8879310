import os

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shard_formats.arrow_messages import MAX_BATCH_BYTES
from pipeline.shard_formats.arrow_shards import pieces, row_digest
from pipeline.shard_formats.shard_file import open_shard, open_shard_writer, shard_suffix
from schemas.errors import ConfigError, CorruptDataError, DatasetError
from schemas.samples import ORIGIN_COLUMNS, SHARD_FORMATS, RowFormat
from tests.datasets import Content, flip, random_rows
from tests.test_verified_file import hashes_of

NARROW = RowFormat(16, 2, "uint16", ("blank",))
FORMATS = st.builds(
    RowFormat,
    st.integers(1, 90),
    st.integers(1, 5),
    st.sampled_from(["uint16", "uint32"]),
    st.sampled_from([("blank",), ("blank", "document")]),
)
REMEDY = "build it again"


def write(path, shard_format, arrays, row_format=NARROW, batch_rows=4):
    writer = open_shard_writer(shard_format, path, row_format, batch_rows, "00000012-00003-")
    for piece in pieces(arrays, batch_rows):
        writer.append(piece)
    return writer.close()


def read(shard_format, path, hashes, row_format=NARROW):
    shard = open_shard(shard_format, path, hashes, row_format, REMEDY)
    return [shard.batch(index) for index in range(shard.num_batches)]


@pytest.fixture(params=SHARD_FORMATS)
def written(request, tmp_path):
    path = tmp_path / f"rows{shard_suffix(request.param)}"
    arrays = random_rows(Content(rows=11))
    return request.param, path, arrays, write(path, request.param, arrays)


@given(row_format=FORMATS, rows=st.integers(0, 20), batch_rows=st.integers(1, 25))
def test_the_same_rows_come_back_under_the_same_digest_from_every_format(
    tmp_path_factory, row_format, rows, batch_rows
):
    folder = tmp_path_factory.mktemp("shards")
    arrays = random_rows(Content(rows=rows, row_format=row_format))
    rows_xxh3 = set()
    for shard_format in SHARD_FORMATS:
        summary = write(folder / shard_format, shard_format, arrays, row_format, batch_rows)
        found = read(shard_format, folder / shard_format, summary.hashes, row_format)
        parts = list(pieces(arrays, batch_rows))
        for batch, part in zip(found, parts, strict=True):
            assert batch.rows.dtype == row_format.dtype
            assert np.array_equal(batch.rows, part.rows)
            assert np.array_equal(batch.origin, part.origin)
        assert summary.rows == rows
        rows_xxh3.add(summary.rows_xxh3)
    digests = [row_digest(row, arrays.origin[:, r]) for r, row in enumerate(arrays.rows)]
    assert rows_xxh3 == {xxhash.xxh3_64_intdigest(np.array(digests, "<u8").tobytes())}


def test_the_digest_does_not_depend_on_the_size_of_batches(tmp_path):
    arrays = random_rows(Content(rows=11))
    found = {write(tmp_path / "s", "tar", arrays, NARROW, size).rows_xxh3 for size in range(1, 12)}
    assert len(found) == 1


def test_equal_rows_give_equal_bytes(written, tmp_path):
    shard_format, path, arrays, summary = written
    assert write(tmp_path / "again", shard_format, arrays) == summary
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert summary.hashes == hashes_of(path.read_bytes(), summary.hashes.offsets)


def test_rows_in_any_order_of_memory_give_the_same_bytes(written, tmp_path):
    shard_format, _, arrays, summary = written
    turned = arrays._replace(
        rows=np.asfortranarray(arrays.rows), origin=np.asfortranarray(arrays.origin)
    )
    assert write(tmp_path / "again", shard_format, turned) == summary


def test_every_flipped_bit_is_found_in_every_region(written):
    shard_format, path, _, summary = written
    offsets = summary.hashes.offsets
    edges = {edge + by for edge in offsets for by in (-1, 0) if 0 <= edge + by < offsets[-1]}
    step = 13 if os.environ.get("BLANKSTREAM_FULL") else 397
    for position in sorted(edges | set(range(0, offsets[-1], step))):
        flip(path, position)
        with pytest.raises(CorruptDataError, match=r"rows\.\w+: .* is damaged: .*build it again"):
            read(shard_format, path, summary.hashes)
        flip(path, position)
    assert len(read(shard_format, path, summary.hashes)) == 3


def test_truncation_is_found_by_a_shard_that_is_open(written):
    shard_format, path, _, summary = written
    shard = open_shard(shard_format, path, summary.hashes, NARROW, REMEDY)
    assert len(shard.batch(0).rows) == 4
    os.truncate(path, summary.hashes.bytes // 2)
    with pytest.raises(CorruptDataError, match="bytes long, expected"):
        shard.batch(2)
    with pytest.raises(CorruptDataError, match="bytes long, expected"):
        shard.recheck()


def test_a_shard_that_changes_while_it_is_open_is_found(written):
    shard_format, path, arrays, summary = written
    shard = open_shard(shard_format, path, summary.hashes, NARROW, REMEDY)
    assert np.array_equal(shard.batch(0).rows, arrays.rows[:4])
    assert shard.recheck()
    flip(path, summary.hashes.offsets[2] - 1)
    assert not shard.recheck()
    with pytest.raises(CorruptDataError, match="batch 0"):
        shard.batch(0)
    shard.close()


def test_rows_of_another_format_are_refused(written):
    shard_format, path, _, summary = written
    other = RowFormat(17, 2, "uint16", ("blank",))
    with pytest.raises(DatasetError, match=r"rows\.\w+: .*build it again"):
        read(shard_format, path, summary.hashes, other)


def test_only_the_last_batch_may_be_short(tmp_path):
    writer = open_shard_writer("tar", tmp_path / "s", NARROW, 4, "")
    short, long = (random_rows(Content(rows=rows)) for rows in (3, 5))
    with pytest.raises(AssertionError):
        writer.append(long)
    writer.append(short)
    with pytest.raises(AssertionError):
        writer.append(short)


@pytest.mark.parametrize("shard_format", ["arrow-lz4", "arrow-zstd"])
def test_compressed_batches_too_long_to_be_read_are_refused_before_a_build(tmp_path, shard_format):
    row_format = RowFormat(2**20, 1, "uint16", ("blank",))
    message = "build.record_batch_rows is 4096, expected at most 127 for compressed rows of 83886"
    with pytest.raises(ConfigError, match=message):
        open_shard_writer(shard_format, tmp_path / "s", row_format, 4096, "")
    row_bytes = row_format.width * 2 + len(ORIGIN_COLUMNS) * 4
    assert 127 * row_bytes < MAX_BATCH_BYTES < 128 * row_bytes
    open_shard_writer(shard_format, tmp_path / "s", row_format, 127, "")


def test_an_unknown_format_is_an_error_naming_those_there_are(tmp_path):
    with pytest.raises(DatasetError, match=r"s: shard format 'mds', this release .* tar; use"):
        open_shard("mds", tmp_path / "s", hashes_of(b""), NARROW, REMEDY)
    with pytest.raises(DatasetError, match="use the release that wrote the data set"):
        shard_suffix("mds")


def test_suffixes_say_what_opens_the_file():
    suffixes = [".arrow", ".arrow", ".arrow", ".tar"]
    assert [shard_suffix(name) for name in SHARD_FORMATS] == suffixes
