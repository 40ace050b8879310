import errno
import hashlib
import itertools
import os
from dataclasses import replace

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shard_formats.verified_file import VerifiedFile
from schemas.errors import BlankstreamError, CorruptDataError, DatasetError
from schemas.manifest import FileHashes
from tests.datasets import overwrite

REMEDY = "build it again"
CONTENT = bytes(range(60))
OFFSETS = (0, 4, 40, 50, 60)


def hashes_of(content, offsets=OFFSETS):
    xxh3 = [xxhash.xxh3_64_intdigest(content[a:b]) for a, b in itertools.pairwise(offsets)]
    return FileHashes(len(content), hashlib.sha256(content).hexdigest(), offsets, tuple(xxh3))


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "numbers.bin"
    path.write_bytes(CONTENT)
    return path, hashes_of(CONTENT)


def read_all(path, hashes):
    file = VerifiedFile(path, hashes, REMEDY)
    return [file.region(index).to_pybytes() for index in range(file.num_batches)]


def test_batches_are_what_lies_between_header_and_footer(written):
    assert read_all(*written) == [CONTENT[4:40], CONTENT[40:50]]
    assert VerifiedFile(*written, REMEDY).header().to_pybytes() == CONTENT[:4]


def test_any_flipped_bit_is_an_error_naming_file_region_and_hashes(written):
    path, hashes = written
    names = ["header", "record batch 0", "record batch 1", "footer"]
    for position, bit in itertools.product(range(len(CONTENT)), range(8)):
        overwrite(path, position, bytes([CONTENT[position] ^ 1 << bit]))
        region = sum(edge <= position for edge in OFFSETS) - 1
        start, stop, expected = *OFFSETS[region : region + 2], hashes.xxh3[region]
        message = (
            rf"numbers\.bin: {names[region]} \(bytes {start}\.\.{stop}\) is damaged: expected "
            rf"xxh3 {expected:016x}, found [0-9a-f]{{16}}; build it again"
        )
        with pytest.raises(CorruptDataError, match=message):
            read_all(path, hashes)
        overwrite(path, position, CONTENT[position : position + 1])
    assert len(read_all(path, hashes)) == 2


@given(size=st.integers(0, 80).filter(lambda size: size != len(CONTENT)))
def test_another_size_is_an_error_naming_both(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("size") / "numbers.bin"
    path.write_bytes((CONTENT * 2)[:size])
    with pytest.raises(CorruptDataError, match=f"{size} bytes long, expected 60"):
        VerifiedFile(path, hashes_of(CONTENT), REMEDY)


@pytest.mark.parametrize(
    "changes",
    [
        {"offsets": (0, 4, 70, 50, 60)},
        {"offsets": (0, 4, 40, 50, 59)},
        {"offsets": (-4, 4, 40, 50, 60)},
        {"offsets": (0, 4, 50, 60)},
        {"offsets": (), "xxh3": ()},
        {"offsets": (0, 60), "xxh3": (1,)},
        {"offsets": (0, 0, 0), "xxh3": (1, 2), "bytes": 0},
    ],
)
def test_offsets_that_do_not_cover_the_file_are_refused(written, changes):
    path, hashes = written
    with pytest.raises(DatasetError, match=r"do not cover \d+ bytes; build it again"):
        VerifiedFile(path, replace(hashes, **changes), REMEDY)


def test_a_missing_file_is_an_error_naming_it(written):
    path, hashes = written
    path.unlink()
    with pytest.raises(CorruptDataError, match=r"numbers\.bin: cannot be opened \(No such file"):
        VerifiedFile(path, hashes, REMEDY)


@pytest.mark.parametrize("call", ["open", "dup"])
def test_too_many_open_files_do_not_blame_the_file(written, monkeypatch, call):
    def refuse(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(BlankstreamError, match="the file is not to blame: raise the limit"):
        VerifiedFile(*written, REMEDY, may_vanish=True)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_file_that_may_not_be_read_is_not_called_damaged(written, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(
        DatasetError, match=r"numbers\.bin: cannot be opened .*, which is no damage; ask its owner"
    ) as caught:
        VerifiedFile(*written, REMEDY)
    assert not isinstance(caught.value, CorruptDataError)
    assert REMEDY not in str(caught.value)


def test_recheck_holds_while_nothing_changes(written):
    file = VerifiedFile(*written, REMEDY)
    assert file.recheck()
    assert file.version == 1


def test_bytes_changed_in_place_are_found_by_the_next_touch(written):
    path, hashes = written
    file = VerifiedFile(path, hashes, REMEDY)
    file.region(0)
    overwrite(path, 39, b"\xff")
    assert not file.recheck()
    with pytest.raises(CorruptDataError, match="record batch 0"):
        file.region(0)
    assert file.region(1).size == 10


def test_an_unverified_batch_of_a_shrunk_file_is_an_error(written):
    path, hashes = written
    file = VerifiedFile(path, hashes, REMEDY)
    os.truncate(path, 30)
    with pytest.raises(CorruptDataError, match="30 bytes long"):
        file.region(1)
    with pytest.raises(CorruptDataError, match="30 bytes long"):
        file.recheck()


def test_a_repaired_file_can_be_read_on(written):
    path, hashes = written
    file = VerifiedFile(path, hashes, REMEDY)
    path.unlink()
    with pytest.raises(CorruptDataError):
        file.recheck()
    path.write_bytes(CONTENT)
    assert not file.recheck()
    assert file.region(1).size == 10


def test_an_unchanged_file_is_not_hashed_again_after_closing(written, monkeypatch):
    file = VerifiedFile(*written, REMEDY)
    file.region(0)
    file.close()
    monkeypatch.setattr(file, "_verify", lambda region: pytest.fail(f"hashed {region} again"))
    assert file.recheck()
    assert file.region(0).size == 36


def test_a_changed_file_is_verified_again_after_closing(written):
    path, hashes = written
    file = VerifiedFile(path, hashes, REMEDY)
    file.region(0)
    file.close()
    overwrite(path, 39, b"\xff")
    with pytest.raises(CorruptDataError, match="record batch 0"):
        file.region(0)


def test_a_file_that_may_vanish_is_good_without_its_name_until_it_changes(written):
    path, hashes = written
    file = VerifiedFile(path, hashes, REMEDY, may_vanish=True)
    path.rename(path.with_name("aside"))
    assert file.recheck()
    assert file.region(0).to_pybytes() == CONTENT[4:40]
    overwrite(path.with_name("aside"), 39, b"\xff")
    assert not file.holds()
    with pytest.raises(CorruptDataError, match=r"cannot be opened \(No such file"):
        file.region(1)


@pytest.mark.parametrize("size", [0, 39, 59, 61])
def test_a_nameless_file_of_another_size_is_not_read(written, size):
    path, hashes = written
    file = VerifiedFile(path, hashes, REMEDY, may_vanish=True)
    os.truncate(path, size)
    os.utime(path, ns=(0, file._identity[3]))
    path.unlink()
    assert not file.holds()
    with pytest.raises(CorruptDataError, match="cannot be opened"):
        file.region(1)


def test_a_file_that_may_not_vanish_is_damaged_without_its_name(written):
    file = VerifiedFile(*written, REMEDY)
    written[0].unlink()
    assert not file.holds()


def test_a_descriptor_is_kept_of_files_that_may_vanish_alone_and_no_longer_than_they_are_open(
    written,
):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    files = [VerifiedFile(*written, REMEDY, may_vanish) for may_vanish in (False, True, True)]
    assert descriptors() == before + 2
    files[1].close()
    assert descriptors() == before + 1
    assert files[1].recheck()
    assert descriptors() == before + 2
    del files[2]
    files[1].close()
    assert descriptors() == before


def test_what_does_not_fit_is_no_damage_unless_the_file_has_changed(written):
    path, hashes = written
    file = VerifiedFile(path, hashes, REMEDY)
    assert isinstance(file.unfit("odd"), DatasetError)
    overwrite(path, 39, b"\xff")
    error = file.unfit("odd")
    assert isinstance(error, CorruptDataError)
    assert str(error) == f"{path}: changed while it was read (odd); {REMEDY}"


def test_bytes_outlive_the_closed_file(written):
    file = VerifiedFile(*written, REMEDY)
    region = file.region(0)
    file.close()
    assert region.to_pybytes() == CONTENT[4:40]
