import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shard_formats.arrow_file import VerifiedArrowFile
from pipeline.shard_formats.arrow_shards import (
    origin_of,
    pieces,
    row_digest,
    row_digests,
    rows_of,
    write_shard,
)
from schemas.samples import RowArrays, RowFormat
from tests.datasets import Content, random_rows

NARROW = RowFormat(16, 2, "uint16", ("blank",))
WIDE = RowFormat(16, 2, "uint32", ("blank", "document"))


@pytest.mark.parametrize("row_format", [NARROW, WIDE])
@pytest.mark.parametrize("batch_rows", [1, 5, 11, 100])
def test_rows_and_origins_are_read_back(tmp_path, row_format, batch_rows):
    arrays = random_rows(Content(rows=11, row_format=row_format))
    hashes = write_shard(tmp_path / "s.arrow", row_format, arrays, batch_rows)
    file = VerifiedArrowFile(tmp_path / "s.arrow", hashes, "")
    batches = [file.batch(index) for index in range(file.num_batches)]
    rows = np.concatenate([rows_of(batch, row_format) for batch in batches])
    origin = np.concatenate([origin_of(batch, row_format) for batch in batches], axis=1)
    assert rows.dtype == row_format.dtype
    assert np.array_equal(rows, arrays.rows)
    assert np.array_equal(origin, arrays.origin)


def test_all_record_batches_but_the_last_are_of_equal_size(tmp_path):
    hashes = write_shard(tmp_path / "s.arrow", NARROW, random_rows(Content(rows=11)), 4)
    file = VerifiedArrowFile(tmp_path / "s.arrow", hashes, "")
    assert [file.batch(index).num_rows for index in range(file.num_batches)] == [4, 4, 3]


def test_slices_of_larger_arrays_give_the_same_bytes_as_copies(tmp_path):
    whole = random_rows(Content(rows=11))
    part = RowArrays(whole.rows[3:8], whole.origin[:, 3:8])
    copy = RowArrays(part.rows.copy(), part.origin.copy())
    first = write_shard(tmp_path / "1.arrow", NARROW, part, 2)
    assert write_shard(tmp_path / "2.arrow", NARROW, copy, 2) == first


def test_a_shard_describes_itself_to_any_arrow_reader(tmp_path):
    write_shard(tmp_path / "s.arrow", WIDE, random_rows(Content(rows=3, row_format=WIDE)), 2)
    with pa.memory_map(str(tmp_path / "s.arrow")) as source:
        schema = pa.ipc.open_file(source).schema
    described = json.loads(schema.metadata[b"blankstream"])
    assert described == WIDE.to_mapping()
    assert schema.field("row").type == pa.list_(pa.uint32(), WIDE.width)


def test_a_row_digest_covers_row_and_origin():
    row, origin = np.arange(8, dtype=np.uint16), np.zeros((4, 2), np.uint32)
    changed = origin.copy()
    changed[3, 1] = 1
    digests = {row_digest(row, origin), row_digest(row + 1, origin), row_digest(row, changed)}
    assert len(digests) == 3
    assert row_digest(row.astype(">u2"), origin) == row_digest(row, origin)


@given(
    rows=st.integers(0, 40),
    row_tokens=st.sampled_from([1, 16, 5000]),
    max_samples=st.integers(1, 9),
    dtype=st.sampled_from(["uint16", "uint32"]),
)
def test_digests_of_many_rows_are_those_of_each_row(rows, row_tokens, max_samples, dtype):
    row_format = RowFormat(row_tokens, max_samples, dtype, ("blank",))
    arrays = random_rows(Content(rows=rows, row_format=row_format))
    one_by_one = [row_digest(row, arrays.origin[:, r]) for r, row in enumerate(arrays.rows)]
    assert row_digests(arrays).tolist() == one_by_one
    assert (
        row_digests(RowArrays(arrays.rows[1::2], arrays.origin[:, 1::2])).tolist()
        == (one_by_one[1::2])
    )


def test_digests_are_little_endian_whatever_the_rows_are():
    arrays = random_rows(Content(rows=3))
    swapped = RowArrays(arrays.rows.astype(">u2"), arrays.origin.astype(">u4"))
    assert row_digests(swapped).tobytes() == row_digests(arrays).astype("<u8").tobytes()


@given(rows=st.integers(0, 20), size=st.integers(1, 25))
def test_pieces_are_views_that_join_to_the_whole(rows, size):
    arrays = random_rows(Content(rows=rows))
    parts = list(pieces(arrays, size))
    assert all(len(part.rows) == size for part in parts[:-1])
    assert all(np.shares_memory(part.rows, arrays.rows) for part in parts)
    assert sum(len(part.rows) for part in parts) == rows
    if parts:
        assert np.array_equal(np.concatenate([part.rows for part in parts]), arrays.rows)
        origins = [part.origin for part in parts]
        assert np.array_equal(np.concatenate(origins, axis=1), arrays.origin)
