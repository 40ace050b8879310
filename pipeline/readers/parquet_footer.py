"""Where the row groups and pages of a Parquet file lie, read without pyarrow.

pyarrow ends the process when it is asked for the columns of some damaged row groups, and believes
any size that a damaged page gives, so both are looked at here first. Source: parquet-format's
parquet.thrift.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.readers.compression import SeekableStream
from pipeline.readers.thrift import Compact

PARQUET_MAGIC = b"PAR1"
END_BYTES = 8
"""The file ends with the footer's length, little-endian, and the magic: four bytes each."""

_MAX_FOOTER_BYTES = 256 * 2**20
_PEEK_BYTES, _MAX_HEADER_BYTES = 2**12, 2**20
_UNCOUNTED_BYTES = 100
"""Some writers leave the header of a dictionary page out of the size of its column."""

_ROW_GROUPS, _COLUMNS, _TOTAL_BYTES, _NUM_ROWS, _META_DATA = 4, 1, 2, 3, 3
_PATH, _DECODED_BYTES, _STORED_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET = 3, 6, 7, 9, 11
_PAGE_DECODED_BYTES, _PAGE_STORED_BYTES = 2, 3
"""Field numbers of FileMetaData, RowGroup, ColumnChunk, ColumnMetaData and PageHeader."""


@dataclass(frozen=True)
class ColumnChunk:
    """A column of a row group: half-open bytes `start` to `stop`, and its size when decoded."""

    name: str
    start: int
    stop: int
    decoded_bytes: int


@dataclass(frozen=True)
class RowGroup:
    """`decoded_bytes` is the size of all columns when decoded."""

    columns: tuple[ColumnChunk, ...]
    num_rows: int
    decoded_bytes: int

    @property
    def start(self) -> int:
        """Its first byte."""
        return min(column.start for column in self.columns)

    @property
    def stop(self) -> int:
        """Behind its last byte."""
        return max(column.stop for column in self.columns)


def row_groups(file: SeekableStream, size: int) -> list[RowGroup]:
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
        footer = Compact(file.read(length)).struct()
        return [_row_group(group, size) for group in footer[_ROW_GROUPS]]
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its footer is damaged ({type(error).__name__}: {error})") from error


def _row_group(group: dict[int, Any], size: int) -> RowGroup:
    columns = tuple(_column(column[_META_DATA], size) for column in group[_COLUMNS])
    if group[_NUM_ROWS] < 0 or not columns:
        raise ValueError(f"a row group of {group[_NUM_ROWS]} rows and {len(columns)} columns")
    return RowGroup(columns, group[_NUM_ROWS], max(0, group[_TOTAL_BYTES]))


def _column(meta: dict[int, Any], size: int) -> ColumnChunk:
    offsets = (meta.get(_DICTIONARY_OFFSET), meta[_DATA_OFFSET])
    start = min(offset for offset in offsets if offset)
    stop = start + meta[_STORED_BYTES]
    if not 0 < start <= stop <= size:
        raise ValueError(f"a column lies at {start}..{stop} of {size} bytes")
    return ColumnChunk(meta[_PATH][0].decode("utf-8", "replace"), start, stop, meta[_DECODED_BYTES])


def check_pages(file: SeekableStream, group: RowGroup, names: Sequence[str]) -> None:
    """Raise `ValueError` unless the pages of these columns fit the columns, stored and decoded."""
    for column in group.columns:
        place = column.start if column.name in names else column.stop
        while place < column.stop:
            place = _next_page(file, place, column)


def _next_page(file: SeekableStream, place: int, column: ColumnChunk) -> int:
    header, length = _page_header(file, place)
    try:
        stored, decoded = int(header[_PAGE_STORED_BYTES]), int(header[_PAGE_DECODED_BYTES])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a page at byte {place} gives no size") from error
    left = column.stop + _UNCOUNTED_BYTES - place - length
    if not (0 <= stored <= left and 0 <= decoded <= column.decoded_bytes):
        raise ValueError(f"a page at byte {place} says it has {stored} bytes, {decoded} decoded")
    return place + length + stored


def _page_header(file: SeekableStream, place: int) -> tuple[dict[int, Any], int]:
    for peeked in (_PEEK_BYTES, _MAX_HEADER_BYTES):
        file.seek(place)
        reader = Compact(file.read(peeked))
        try:
            return reader.struct(), reader.place
        except (LookupError, ValueError) as error:
            failure = error
    raise ValueError(f"no page header at byte {place}: {failure}")
