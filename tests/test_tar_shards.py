import tarfile
from dataclasses import replace

import numpy as np
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from webdataset import tenbin

import pipeline.shard_formats.tar_shards
from pipeline.shard_formats.arrow_shards import pieces
from pipeline.shard_formats.tar_layout import TarLayout, tar_arrays
from pipeline.shard_formats.tar_shards import TarShardWriter, VerifiedTarShard
from schemas.errors import ConfigError, CorruptDataError, DatasetError
from schemas.samples import RowFormat
from tests.datasets import Content, flip, random_rows
from tests.test_verified_file import hashes_of

NARROW = RowFormat(16, 2, "uint16", ("blank",))
WIDE = RowFormat(40, 3, "uint32", ("blank", "document"))
PREFIX = "00000012-00003-"


def write(path, row_format=NARROW, rows=11, batch_rows=4, prefix=PREFIX):
    arrays = random_rows(Content(rows=rows, row_format=row_format))
    arrays.rows[:, row_format.slices["labels"]][:, ::2] = row_format.ignore
    writer = TarShardWriter(path, row_format, prefix)
    for piece in pieces(arrays, batch_rows):
        writer.append(piece)
    return arrays, writer.close()


def read_all(path, hashes, row_format=NARROW):
    shard = VerifiedTarShard(path, hashes, row_format, "build again")
    return [shard.batch(index) for index in range(shard.num_batches)]


@pytest.fixture(params=[NARROW, WIDE], ids=["uint16", "int32"])
def written(request, tmp_path):
    path = tmp_path / "rows.tar"
    arrays, hashes = write(path, request.param)
    return path, request.param, arrays, hashes


def expected_arrays(row_format, arrays, row):
    numbers = arrays.rows[row]
    if row_format.dtype == "uint32":
        numbers = numbers.astype(np.int64)
        numbers[numbers == row_format.ignore] = -1
    return [*(numbers[part] for part in row_format.slices.values()), *arrays.origin[:, row]]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset's own
def test_webdataset_opens_every_row(written):
    path, row_format, arrays, _ = written
    samples = list(webdataset.WebDataset([str(path)], shardshuffle=False).decode())
    keys = [f"{PREFIX}{row:08d}" for row in range(11)]
    assert [sample["__key__"] for sample in samples] == keys
    for row, sample in enumerate(samples):
        dtypes = [array.dtype for array in tar_arrays(row_format)]
        assert [str(array.dtype) for array in sample["ten"]] == dtypes
        for found, numbers in zip(
            sample["ten"], expected_arrays(row_format, arrays, row), strict=True
        ):
            assert np.array_equal(found, numbers)


def test_webdatasets_own_encoder_gives_the_same_bytes(written):
    path, row_format, arrays, _ = written
    described = tar_arrays(row_format)
    with tarfile.open(path) as opened:
        for row, member in enumerate(opened):
            content = expected_arrays(row_format, arrays, row)
            tensors = [
                np.ascontiguousarray(numbers, array.dtype)
                for numbers, array in zip(content, described, strict=True)
            ]
            assert opened.extractfile(member).read() == bytes(tenbin.encode_buffer(tensors))


def test_members_are_plain_files_of_nobody_that_stay_in_the_folder(written):
    with tarfile.open(written[0]) as opened:
        members = opened.getmembers()
    assert [member.name for member in members] == [f"{PREFIX}{row:08d}.ten" for row in range(11)]
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0, 0, "", "")
    }
    assert {(member.mtime, member.mode, member.isreg()) for member in members} == {(0, 0o644, True)}
    for member in members:
        assert tarfile.data_filter(member, "/anywhere").name == member.name


def test_equal_rows_give_equal_bytes_and_hashes(tmp_path):
    _, first = write(tmp_path / "1.tar")
    (tmp_path / "2.tar").write_bytes(b"what was there is replaced" * 10_000)
    assert write(tmp_path / "2.tar")[1] == first
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


@given(
    rows=st.integers(0, 30),
    batch_rows=st.integers(1, 12),
    piece_bytes=st.integers(1, 40_000),
    row_format=st.builds(
        RowFormat,
        st.integers(1, 90),
        st.integers(1, 5),
        st.sampled_from(["uint16", "uint32"]),
        st.just(("blank",)),
    ),
)
def test_rows_come_back_and_regions_are_batches(
    tmp_path_factory, rows, batch_rows, piece_bytes, row_format
):
    path = tmp_path_factory.mktemp("tar") / "rows.tar"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.shard_formats.tar_shards, "_PIECE_BYTES", piece_bytes)
        arrays, hashes = write(path, row_format, rows, batch_rows)
    stride = TarLayout(row_format).member.itemsize
    edges = [min(row, rows) * stride for row in range(0, rows + batch_rows, batch_rows)]
    assert hashes == hashes_of(path.read_bytes(), (0, *edges, rows * stride + 1024))
    found = read_all(path, hashes, row_format)
    assert sum(len(batch.rows) for batch in found) == rows
    for batch, part in zip(found, pieces(arrays, batch_rows), strict=True):
        assert np.array_equal(batch.rows, part.rows)
        assert np.array_equal(batch.origin, part.origin)


def test_rows_of_a_batch_stay_what_they_were_when_the_shard_is_closed(written):
    path, row_format, arrays, hashes = written
    shard = VerifiedTarShard(path, hashes, row_format, "")
    batch = shard.batch(1)
    shard.close()
    assert np.array_equal(batch.rows, arrays.rows[4:8])
    assert shard.recheck()
    assert np.array_equal(shard.batch(0).rows, arrays.rows[:4])


@pytest.mark.parametrize(
    ("place", "name"), [(100, "batch 0"), (-1100, "batch 2"), (-1, "end of archive")]
)
def test_a_damaged_region_is_named(tmp_path, place, name):
    path = tmp_path / "rows.tar"
    _, hashes = write(path)
    flip(path, place % hashes.bytes)
    with pytest.raises(CorruptDataError, match=rf"rows\.tar: {name} \(bytes .* is damaged"):
        read_all(path, hashes)


def test_members_of_another_layout_are_refused(tmp_path):
    path = tmp_path / "rows.tar"
    _, hashes = write(path)
    for row_format in (replace(NARROW, row_tokens=17), replace(NARROW, row_tokens=400)):
        with pytest.raises(DatasetError, match=r"batch 0 (does not begin|is \d+ bytes).*again"):
            read_all(path, hashes, row_format)


def test_offsets_within_a_member_are_refused(tmp_path):
    path = tmp_path / "rows.tar"
    _, hashes = write(path)
    offsets = (0, 0, hashes.offsets[2] - 512, *hashes.offsets[3:])
    shard = VerifiedTarShard(path, hashes_of(path.read_bytes(), offsets), NARROW, "")
    for index in (0, 1):
        with pytest.raises(DatasetError, match=rf"batch {index} is \d+ bytes, no multiple"):
            shard.batch(index)


def test_numbers_that_do_not_fit_are_the_callers_mistake(tmp_path):
    arrays = random_rows(Content(rows=1, row_format=WIDE))
    arrays.rows[0, 0] = 2**31
    with pytest.raises(ConfigError, match="tokens: 2147483648 does not fit"):
        TarShardWriter(tmp_path / "rows.tar", WIDE).append(arrays)


def test_names_have_eight_digits_and_no_row_more(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline.shard_formats.tar_shards, "MAX_MEMBERS", 3)
    with pytest.raises(ValueError, match="more than 3 rows in one tar; write several"):
        write(tmp_path / "rows.tar")
