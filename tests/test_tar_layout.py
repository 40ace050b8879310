import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shard_formats.tar_layout import TarLayout, tar_arrays
from schemas.errors import ConfigError
from schemas.samples import RowFormat
from tests.datasets import Content, random_rows

NARROW = RowFormat(16, 2, "uint16", ("blank",))
WIDE = RowFormat(16, 2, "uint32", ("blank", "document"))

FORMATS = st.builds(
    RowFormat,
    st.integers(1, 300),
    st.integers(1, 70),
    st.sampled_from(["uint16", "uint32"]),
    st.just(("blank",)),
)
PREFIXES = st.text("abzAZ059_-", max_size=80)


def filled(row_format, prefix="", rows=3, first=0):
    layout = TarLayout(row_format, prefix)
    members = layout.blank(rows)
    layout.number(members, first)
    layout.fill(members, random_rows(Content(rows=rows, row_format=row_format)))
    return layout, members


def headers_by_tarfile(prefix, numbers, size):
    for number in numbers:
        info = tarfile.TarInfo(f"{prefix}{number:08d}.ten")
        info.size, info.mode = size, 0o644
        header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
        header[329:345] = bytes(16)  # numbers of a device, which a file has none of
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        yield bytes(header)


@given(row_format=FORMATS, prefix=PREFIXES, first=st.integers(0, 10**8 - 3))
def test_headers_are_those_of_pythons_tarfile(row_format, prefix, first):
    layout, members = filled(row_format, prefix, 3, first)
    content, stride = members.tobytes(), layout.member.itemsize
    found = [content[start : start + 512] for start in range(0, len(content), stride)]
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        size = opened.next().size
    assert found == list(headers_by_tarfile(prefix, range(first, first + 3), size))
    assert stride % 512 == 0
    assert 0 <= stride - 512 - size < 512


@given(row_format=FORMATS, prefix=PREFIXES, rows=st.integers(1, 5))
def test_rows_and_origins_come_back(row_format, prefix, rows):
    layout, members = filled(row_format, prefix, rows)
    arrays = random_rows(Content(rows=rows, row_format=row_format))
    found = layout.rows(np.frombuffer(members.tobytes(), TarLayout(row_format).member))
    assert found.rows.dtype == row_format.dtype
    assert np.array_equal(found.rows, arrays.rows)
    assert np.array_equal(found.origin, arrays.origin)


def test_arrays_begin_on_multiples_of_sixteen_bytes():
    fields = TarLayout(RowFormat(17, 3, "uint16", ("blank",))).member.fields
    assert list(fields) == [array.name for array in tar_arrays(NARROW)]
    assert {offset % 16 for _, offset in fields.values()} == {0}


def test_numbers_are_16_bits_wide_or_signed():
    assert {array.dtype for array in tar_arrays(NARROW)[:7]} == {"uint16"}
    assert {array.dtype for array in tar_arrays(NARROW)[7:]} == {"int32"}
    assert {array.dtype for array in tar_arrays(WIDE)} == {"int32"}


def test_an_ignored_label_of_a_wide_row_is_minus_one():
    layout, members = filled(WIDE, rows=1)
    arrays = random_rows(Content(rows=1, row_format=WIDE))
    arrays.rows[0, WIDE.slices["labels"]][3] = WIDE.ignore
    layout.fill(members, arrays)
    assert members["labels"][0, 3] == -1
    assert np.array_equal(layout.rows(members).rows, arrays.rows)


@pytest.mark.parametrize("name", list(WIDE.slices))
@pytest.mark.parametrize("number", [2**31, 2**32 - 2])
def test_a_number_that_int32_cannot_hold_is_an_error(name, number):
    layout, members = filled(WIDE, rows=2)
    arrays = random_rows(Content(rows=2, row_format=WIDE))
    arrays.rows[0, WIDE.slices["labels"]] = WIDE.ignore
    arrays.rows[1, WIDE.slices[name]][1] = number
    message = rf"{name}: {number} does not fit the int32 .*; set build.shard_format to arrow"
    with pytest.raises(ConfigError, match=message):
        layout.fill(members, arrays)


def test_an_origin_that_int32_cannot_hold_is_an_error():
    layout, members = filled(NARROW, rows=1)
    arrays = random_rows(Content(rows=1))
    arrays.origin[3, 0, 1] = 2**31
    with pytest.raises(ConfigError, match="stop: 2147483648 does not fit"):
        layout.fill(members, arrays)


@pytest.mark.parametrize("prefix", ["../", "a/", "/", ".", "a.b-", "x" * 81, "ä", "a\n", "\0"])
def test_a_prefix_that_could_leave_the_folder_or_cut_the_key_is_refused(prefix):
    with pytest.raises(ValueError, match=r"key prefix .*, expected at most 80 letters"):
        TarLayout(NARROW, prefix)


def test_a_member_fits_its_own_layout_alone():
    layout, members = filled(NARROW, "00000012-00003-", first=7)
    assert layout.fits(members[1:2])
    assert TarLayout(NARROW).fits(members[1:2])
    changed = bytearray(members[:1].tobytes())
    changed[600] ^= 1  # in the description of the first array
    assert not layout.fits(np.frombuffer(changed, layout.member))
