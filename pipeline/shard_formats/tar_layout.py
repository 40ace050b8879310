"""Where the numbers of a row are in a member of a tar shard: all arithmetic on its bytes.

Stands below `tar_shards.py`. A member is a ustar header and the row as a list of tensors in the
`.ten` format that webdataset's `decode()` opens. All members of a shard have the same size, so that
they are an array of one NumPy type: column `tokens` is the tokens of all rows.
"""

import re
import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ConfigError
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat

Members = NDArray[np.void]
"""Members of a shard, (n,), of the type `TarLayout.member`."""

END_OF_ARCHIVE = bytes(1024)
"""Two blocks of zeros."""

SIGNED_IGNORE = -1
"""Label of a wide row that is not predicted: the bits of `RowFormat.ignore` as int32."""

MAX_MEMBERS = 10**8
"""As many as the eight digits of a member's name can tell apart."""

_BLOCK_BYTES, _ALIGNMENT_BYTES = 512, 64
_USTAR = struct.Struct("<100s8s8s8s12s12s8sc100s8s247x")
_NAME = slice(0, 100)
_CHECKSUM = slice(148, 154)
_CHUNK = struct.Struct("<8sq")
_TENSOR = struct.Struct("<8s8sqq")
_MAGIC = b"~TenBin~"
_SHORT_TYPES = {"uint16": b"u2", "int32": b"i4"}
_DIGITS = 10 ** np.arange(7, -1, -1)
_OCTAL_SHIFTS = np.arange(15, -1, -3)
_KEY_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,80}")


class TarArray(NamedTuple):
    """One array of a member: `length` numbers of `dtype`."""

    name: str
    dtype: str
    length: int


def tar_arrays(row_format: RowFormat) -> list[TarArray]:
    """The arrays of a member in their order: the parts of the row, then its origin.

    webdataset knows no uint32; wide rows and origins are int32, where `ignore` is `SIGNED_IGNORE`.
    """
    number = "uint16" if row_format.dtype == "uint16" else "int32"
    parts = [
        TarArray(name, number, part.stop - part.start) for name, part in row_format.slices.items()
    ]
    return parts + [TarArray(name, "int32", row_format.max_samples) for name in ORIGIN_COLUMNS]


class TarLayout:
    """`member` is the type of a member, `template` one whose number and arrays are zeros.

    Members are named `<key_prefix><number>.ten`, with eight digits. `ValueError` for a prefix of
    anything but up to 80 ASCII letters, digits, `_` and `-`: webdataset cuts a key at the first
    dot, and a slash would make folders.
    """

    def __init__(self, row_format: RowFormat, key_prefix: str = "") -> None:
        if not _KEY_PREFIX.fullmatch(key_prefix):
            raise ValueError(
                f"key prefix {key_prefix!r}, expected at most 80 letters, digits, '_' and '-'"
            )
        self._format, self._arrays = row_format, tar_arrays(row_format)
        content, offsets = b"", []
        for array in self._arrays:
            content += _tensor_header(array)
            offsets.append(_BLOCK_BYTES + len(content))
            content += bytes(_rounded(_data_bytes(array), _ALIGNMENT_BYTES))
        self._number = len(key_prefix)
        header = _ustar_header(f"{key_prefix}{0:08d}.ten", len(content))
        self._checksum = sum(header)
        header = header[: _CHECKSUM.stop] + b"\0" + header[_CHECKSUM.stop + 1 :]
        self.template = header + content.ljust(_rounded(len(content), _BLOCK_BYTES), b"\0")
        self.member = np.dtype(
            {
                "names": [array.name for array in self._arrays],
                "formats": [
                    (f"<{array.dtype[0]}{_size(array)}", (array.length,)) for array in self._arrays
                ],
                "offsets": offsets,
                "itemsize": len(self.template),
            }
        )

    def blank(self, count: int) -> Members:
        """`count` members of zeros, to be filled by `number` and `fill`."""
        return np.frombuffer(bytearray(self.template * count), self.member)

    def number(self, members: Members, first: int) -> None:
        """Name the members `first`, `first` + 1, ... and mend the checksums of their headers."""
        digits = np.arange(first, first + len(members))[:, None] // _DIGITS % 10
        checksums = self._checksum + digits.sum(axis=1)
        content = members.view(np.uint8).reshape(len(members), -1)
        content[:, self._number : self._number + len(_DIGITS)] = digits + ord("0")
        content[:, _CHECKSUM] = (checksums[:, None] >> _OCTAL_SHIFTS & 7) + ord("0")

    def fill(self, members: Members, arrays: RowArrays) -> None:
        """Copy rows and origins; `ConfigError` for a number that int32 cannot hold."""
        for name, part in self._format.slices.items():
            members[name] = self._fitting(name, arrays.rows[:, part])
        for name, column in zip(ORIGIN_COLUMNS, arrays.origin, strict=True):
            members[name] = self._fitting(name, column)

    def rows(self, members: Members) -> RowArrays:
        """Inverse of `fill`: copies."""
        parts = [members[name] for name in self._format.slices]
        rows = np.concatenate(parts, axis=1).view(self._format.dtype)
        origin = np.stack([members[name] for name in ORIGIN_COLUMNS]).view(np.uint32)
        return RowArrays(rows, origin)

    def fits(self, member: Members) -> bool:
        """Whether all of one member (1,) but its name and its numbers is as in the template."""
        return self._frame(member.tobytes()) == self._frame(self.template)

    def _frame(self, content: bytes) -> bytes:
        """A member with zeros for what differs between members."""
        frame = bytearray(content)
        frame[_NAME], frame[_CHECKSUM] = bytes(100), bytes(6)
        member = np.frombuffer(frame, self.member)
        for array in self._arrays:
            member[array.name] = 0
        return bytes(frame)

    def _fitting(self, name: str, numbers: NDArray[Any]) -> NDArray[Any]:
        if numbers.dtype != np.uint32 or not numbers.size:
            return numbers
        signed = numbers.view(np.int32)
        lowest = SIGNED_IGNORE if name == "labels" else 0
        if signed.min() < lowest:
            wrong = numbers[signed < lowest].max()
            raise ConfigError(
                f"{name}: {wrong} does not fit the int32 of a tar shard; set build.shard_format "
                "to arrow"
            )
        return signed


def _tensor_header(array: TarArray) -> bytes:
    """The chunk that describes an array, then the head of the chunk that holds it."""
    header = _TENSOR.pack(_SHORT_TYPES[array.dtype], b"", 1, array.length)
    described = _CHUNK.pack(_MAGIC, len(header)) + header.ljust(_ALIGNMENT_BYTES, b"\0")
    return described + _CHUNK.pack(_MAGIC, _data_bytes(array))


def _ustar_header(name: str, size: int) -> bytes:
    """A regular file of nobody, readable by all, from 1970; spaces instead of its checksum."""
    numbers = (b"0000644\0", b"0000000\0", b"0000000\0", b"%011o\0" % size, b"00000000000\0")
    return _USTAR.pack(name.encode(), *numbers, b" " * 8, b"0", b"", b"ustar\x0000")


def _data_bytes(array: TarArray) -> int:
    return array.length * _size(array)


def _size(array: TarArray) -> int:
    return np.dtype(array.dtype).itemsize


def _rounded(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
