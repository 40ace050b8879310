"""Thrift's compact protocol: values as the specification writes them, no surprise on rubbish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.thrift import Compact

STRUCT = bytes(
    [
        *(0x11,),  # field 1: true
        *(0x15, 0x03),  # field 2: i32 -2
        *(0x06, 0x28, 0xD8, 0x04),  # field 20, its number written out: i64 300
        *(0x18, 0x02, 0x68, 0x69),  # field 21: "hi"
        *(0x19, 0x25, 0x02, 0x04),  # field 22: list of i32 1, 2
        *(0x1C, 0x12, 0x00),  # field 23: struct with field 1: false
        *(0x1B, 0x01, 0x85, 0x01, 0x61, 0x0A),  # field 24: map {"a": 5}
        0x00,
    ]
)


def test_every_type_is_read() -> None:
    reader = Compact(STRUCT)
    assert reader.struct() == {
        1: True,
        2: -2,
        20: 300,
        21: b"hi",
        22: [1, 2],
        23: {1: False},
        24: [(b"a", 5)],
    }
    assert reader.place == len(STRUCT)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_struct_or_an_error(content: bytes) -> None:
    try:
        assert isinstance(Compact(content).struct(), dict)
    except (ValueError, IndexError):
        assert content != STRUCT


@pytest.mark.parametrize(
    "content", [b"\x1c" * 100, b"\x19\xf8\xff\xff\xff\x7f", b"\x1d\x00", b"\x15" + b"\xff" * 12]
)
def test_depth_sizes_types_and_numbers_are_bounded(content: bytes) -> None:
    with pytest.raises(ValueError, match="Thrift"):
        Compact(content).struct()
