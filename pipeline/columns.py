"""Parquet and Arrow IPC -> one mapping of fields per row, a few rows at a time.

Whatever pyarrow raises on a damaged file becomes `DamagedInput`; nothing of a file is used before
pyarrow's full validation of it, since unchecked offsets would read foreign memory.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.bad_input import DamagedInput

_BATCH_BYTES = 8 * 2**20
_MAX_BATCH_ROWS = 1024
_MAPPED_BYTES = 256 * 2**20
"""Arrow files above this are mapped: one of their batches could be the whole file."""

_MAX_METADATA_BYTES = 64 * 2**20
_MAX_ROWS_PER_BYTE = 64
"""More rows than this for a byte of the file are no rows but a damaged count."""

ARROW_MAGIC = b"ARROW1"
PARQUET_MAGIC = b"PAR1"


Row = tuple[int, dict[str, Any]]
"""Number of the row in its file, and the fields it has. Strings are their undecoded bytes."""


class OtherType:
    """A value of a column that is neither string nor integer; `str` gives the column's type."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name


def read_parquet(file: Path, start: int, stop: int, fields: Sequence[str]) -> Iterator[Row]:
    """Rows of the row groups whose first byte lies in `start` to `stop`, with those `fields`.

    Needs the file's footer beside these bytes. Raises `DamagedInput`.
    """
    try:
        parquet = _open_parquet(file)
        begins = row_group_begins(parquet.metadata)
        size = file.stat().st_size
        first_row = 0
        for number, begin in enumerate(begins):
            group = parquet.metadata.row_group(number)
            if group.num_rows < 0 or group.num_rows > _MAX_ROWS_PER_BYTE * size:
                raise ValueError(f"row group {number} says it has {group.num_rows} rows")
            if start <= begin < stop or stop - start == size:
                yield from _row_group(parquet, number, first_row, fields)
            first_row += group.num_rows
    except Exception as error:  # pyarrow raises of every kind on damage
        raise _damaged("damaged_parquet", error) from error


def _open_parquet(file: Any) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(
        file,
        buffer_size=2**20,
        pre_buffer=False,
        page_checksum_verification=True,
        thrift_string_size_limit=_MAX_METADATA_BYTES,
        thrift_container_size_limit=2**20,
    )


def row_group_begins(metadata: Any) -> list[int]:
    """Offset of the first byte of every row group."""
    return [
        min(
            (_column_begin(group.column(index)) for index in range(group.num_columns)),
            default=0,
        )
        for group in (metadata.row_group(number) for number in range(metadata.num_row_groups))
    ]


def _column_begin(column: Any) -> int:
    offsets = (column.dictionary_page_offset, column.data_page_offset)
    return min((offset for offset in offsets if offset), default=0)


def row_group_cuts(file: Any, size: int) -> list[int]:
    """Offsets at which a Parquet file can be cut: ascending, with whole row groups between them.

    Empty for a file whose row groups do not lie one behind the other, or that is damaged.
    """
    try:
        metadata = _open_parquet(file).metadata
        begins = row_group_begins(metadata)
        stops = [_row_group_stop(metadata.row_group(n)) for n in range(metadata.num_row_groups)]
    except Exception:  # reading it will say what is wrong
        return []
    if any(stop > begin for stop, begin in zip(stops, begins[1:], strict=False)):
        return []
    is_ascending = all(a < b for a, b in pairwise([0, *begins, size]))
    return begins[1:] if is_ascending else []


def _row_group_stop(group: Any) -> int:
    columns = (group.column(index) for index in range(group.num_columns))
    return max(_column_begin(column) + column.total_compressed_size for column in columns)


def _row_group(
    parquet: Any, number: int, first_row: int, fields: Sequence[str]
) -> Iterator[Row]:
    names = _present(parquet.schema_arrow, fields)
    group = parquet.metadata.row_group(number)
    rows = max(1, min(_MAX_BATCH_ROWS, group.num_rows * _BATCH_BYTES // max(1, group.total_byte_size)))
    found = 0
    for batch in parquet.iter_batches(
        batch_size=rows, row_groups=[number], columns=names, use_threads=False
    ):
        yield from _rows(batch, first_row + found, names)
        found += batch.num_rows
    if found != group.num_rows:
        raise ValueError(f"row group {number} has {found} rows of {group.num_rows}")


def read_arrow(file: Path, fields: Sequence[str]) -> Iterator[Row]:
    """Every row of an Arrow IPC file or stream, with those `fields`. Raises `DamagedInput`."""
    try:
        size = file.stat().st_size
        with pa.memory_map(str(file)) if size > _MAPPED_BYTES else pa.OSFile(str(file)) as source:
            first_row = 0
            for batch in _batches(source):
                if batch.num_rows > _MAX_ROWS_PER_BYTE * size:
                    raise ValueError(f"a record batch says it has {batch.num_rows} rows")
                names = _present(batch.schema, fields)
                yield from _rows(batch, first_row, names)
                first_row += batch.num_rows
    except Exception as error:  # pyarrow raises of every kind on damage
        raise _damaged("damaged_arrow", error) from error


def _batches(source: Any) -> Iterator[Any]:
    options = pa.ipc.IpcReadOptions(use_threads=False)
    is_file = source.read(len(ARROW_MAGIC)) == ARROW_MAGIC
    source.seek(0)
    if not is_file:
        yield from pa.ipc.open_stream(source, options=options)
        return
    reader = pa.ipc.open_file(source, options=options)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _present(schema: Any, fields: Sequence[str]) -> list[str]:
    twice = [name for name in fields if len(schema.get_all_field_indices(name)) > 1]
    if twice:
        raise ValueError(f"two columns are called '{twice[0]}'")
    return [name for name in fields if name in schema.names]


def _rows(batch: Any, first_row: int, names: Sequence[str]) -> Iterator[Row]:
    columns = {name: _checked(batch.column(name)) for name in names}
    for start in range(0, batch.num_rows, _MAX_BATCH_ROWS):
        length = min(_MAX_BATCH_ROWS, batch.num_rows - start)
        values = [_values(column.slice(start, length)) for column in columns.values()]
        for index in range(length):
            row = first_row + start + index
            yield row, dict(zip(names, (column[index] for column in values), strict=True))


def _checked(column: Any) -> Any:
    """A column that is safe to look at; strings as binary, so that each is decoded by itself."""
    if pa.types.is_dictionary(column.type):
        column.indices.validate(full=True)
        values = _checked(column.dictionary)
        return pa.DictionaryArray.from_arrays(column.indices, values)
    binary = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(column.type)
    if binary is not None:
        column = column.cast(binary)
    column.validate(full=True)
    return column


def _values(column: Any) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    is_text = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    is_text = is_text or pa.types.is_string_view(kind)
    if is_text or pa.types.is_integer(kind) or pa.types.is_null(kind):
        values: list[Any] = column.to_pylist()
        return values
    return [OtherType(str(kind)[:100]) if known else None for known in column.is_valid().to_pylist()]


def _damaged(reason: str, error: Exception) -> DamagedInput:
    if isinstance(error, DamagedInput):
        return error
    return DamagedInput(reason, f"{type(error).__name__}: {str(error).splitlines()[:1]}")
