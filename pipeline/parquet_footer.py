"""Where the row groups of a Parquet file lie, read from its footer without pyarrow.

pyarrow ends the process when it is asked for the columns of some damaged row groups, so the places
are parsed here. Source: parquet-format's parquet.thrift and Thrift's compact protocol.
"""

import struct
from dataclasses import dataclass
from typing import IO, Any

PARQUET_MAGIC = b"PAR1"
END_BYTES = 8
"""The file ends with the footer's length, little-endian, and the magic: four bytes each."""

_MAX_FOOTER_BYTES = 256 * 2**20
_MAX_DEPTH = 32
_ROW_GROUPS, _COLUMNS, _TOTAL_BYTES, _NUM_ROWS, _META_DATA = 4, 1, 2, 3, 3
_COMPRESSED_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET = 7, 9, 11
"""Field numbers of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData."""


@dataclass(frozen=True)
class RowGroup:
    """`start`, `stop`: half-open bytes of its columns. `total_bytes` is the size when decoded."""

    start: int
    stop: int
    num_rows: int
    total_bytes: int


def row_groups(file: IO[bytes], size: int) -> list[RowGroup]:
    """Row groups of a seekable file in their order; `ValueError` for a damaged footer."""
    file.seek(max(0, size - END_BYTES))
    end = file.read(END_BYTES)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != PARQUET_MAGIC:
        raise ValueError(f"it ends with {end[4:]!r} instead of {PARQUET_MAGIC!r}")
    if length > min(size - END_BYTES, _MAX_FOOTER_BYTES):
        raise ValueError(f"it says its footer has {length} bytes")
    file.seek(size - END_BYTES - length)
    try:
        footer = _Compact(file.read(length)).struct()
        return [_row_group(group, size) for group in footer[_ROW_GROUPS]]
    except (KeyError, IndexError, TypeError, struct.error, RecursionError) as error:
        raise ValueError(f"its footer is damaged ({type(error).__name__}: {error})") from error


def _row_group(group: dict[int, Any], size: int) -> RowGroup:
    starts, stops = [], []
    for column in group[_COLUMNS]:
        meta = column[_META_DATA]
        start = min(
            offset for offset in (meta.get(_DICTIONARY_OFFSET), meta[_DATA_OFFSET]) if offset
        )
        stop = start + meta[_COMPRESSED_BYTES]
        if not 0 < start <= stop <= size:
            raise ValueError(f"a column lies at {start}..{stop} of {size} bytes")
        starts.append(start)
        stops.append(stop)
    num_rows, total_bytes = group[_NUM_ROWS], group[_TOTAL_BYTES]
    if num_rows < 0 or not starts:
        raise ValueError(f"a row group of {num_rows} rows and {len(starts)} columns")
    return RowGroup(min(starts), max(stops), num_rows, max(0, total_bytes))


class _Compact:
    """Thrift's compact protocol: structs as dicts by field number, lists as lists."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The struct that begins here."""
        if depth > _MAX_DEPTH:
            raise ValueError("its footer is nested too deeply")
        found: dict[int, Any] = {}
        number = 0
        while (header := self._byte()) != 0:
            number = number + (header >> 4) if header >> 4 else self._zigzag()
            found[number] = self._value(header & 15, depth, is_field=True)
        return found

    def _value(self, kind: int, depth: int, is_field: bool = False) -> Any:
        if kind in (1, 2):  # a boolean field is its type, an element a byte
            return kind == 1 if is_field else self._byte() == 1
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind in (3, 7, 13):
            return self._bytes({3: 1, 7: 8, 13: 16}[kind])
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            return self._list(depth)
        if kind == 11:
            return self._map(depth)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"its footer has a value of type {kind}")

    def _list(self, depth: int) -> list[Any]:
        header = self._byte()
        size = header >> 4 if header >> 4 < 15 else self._varint()
        self._check_size(size)
        return [self._value(header & 15, depth + 1) for _ in range(size)]

    def _map(self, depth: int) -> list[Any]:
        size = self._varint()
        kinds = self._byte() if size else 0
        self._check_size(size)
        return [
            (self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1))
            for _ in range(size)
        ]

    def _check_size(self, size: int) -> None:
        if size > len(self._data) - self._place:
            raise ValueError(f"its footer has a list of {size} elements")

    def _byte(self) -> int:
        self._place += 1
        return self._data[self._place - 1]

    def _bytes(self, size: int) -> bytes:
        self._check_size(size)
        self._place += size
        return self._data[self._place - size : self._place]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("its footer has a number of more than 64 bits")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
