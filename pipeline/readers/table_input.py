"""Parquet and Arrow IPC -> one mapping of fields per row, a few rows at a time.

Whatever pyarrow raises on a damaged file becomes `UnusableInput`; nothing of a file is used before
pyarrow's full validation of it, since unchecked offsets would read foreign memory.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.readers.compression import SeekableStream
from pipeline.readers.parquet_footer import RowGroup, check_pages, row_groups
from pipeline.readers.reads import UnusableInput
from schemas.plan import SourceRange

_BATCH_BYTES = 8 * 2**20
_MAX_BATCH_ROWS = 1024
_MAX_HELD_BYTES = 64 * 2**20
"""Arrow files with a larger record batch are mapped instead of holding it: it could be all."""

_MAX_METADATA_BYTES = 64 * 2**20
_MAX_ROWS_PER_BYTE = 64
"""More rows than this for a byte of the file are no rows but a damaged count."""

ARROW_MAGIC = b"ARROW1"
_STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"
_FIRST_MESSAGE = 8
"""An Arrow file is its magic, two bytes, and then what a stream holds."""

Row = tuple[int, dict[str, Any]]
"""Number of the row in its file, and the fields it has. Strings are their undecoded bytes."""


class OtherType:
    """A value of a column that is neither string nor integer."""

    def __init__(self, column_type: str) -> None:
        self.column_type = column_type


def read_parquet(file: Path, source: SourceRange, fields: Sequence[str]) -> Iterator[Row]:
    """Rows of the row groups whose first byte lies in the range, with those `fields`.

    Needs the file's footer beside the range's bytes. Raises `UnusableInput`.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            groups = row_groups(stream, size)
            parquet, first_row = _open_parquet(file), 0
            for number, group in enumerate(groups):
                if group.num_rows > _MAX_ROWS_PER_BYTE * size:
                    raise ValueError(f"row group {number} says it has {group.num_rows} rows")
                if source.start <= group.start < source.stop:
                    check_pages(stream, group, fields)
                    yield from _group_rows(parquet, number, group, first_row, fields)
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


def row_group_cuts(file: SeekableStream, size: int) -> list[int]:
    """Offsets at which a Parquet file can be cut: ascending, with whole row groups between them.

    Empty for a file whose row groups do not lie one behind the other, or that is damaged.
    """
    try:
        groups = row_groups(file, size)
    except ValueError:  # reading it will say what is wrong
        return []
    is_ordered = all(a.stop <= b.start for a, b in pairwise(groups))
    return [group.start for group in groups[1:]] if is_ordered else []


def _group_rows(
    parquet: Any, number: int, group: RowGroup, first_row: int, fields: Sequence[str]
) -> Iterator[Row]:
    names = _present(parquet.schema_arrow, fields)
    batch_rows = group.num_rows * _BATCH_BYTES // max(1, group.decoded_bytes)
    batches = parquet.iter_batches(
        batch_size=max(1, min(_MAX_BATCH_ROWS, batch_rows)),
        row_groups=[number],
        columns=names,
        use_threads=False,
    )
    found = 0
    for batch in batches:
        yield from _rows(batch, first_row + found, names)
        found += batch.num_rows
    if found != group.num_rows:
        raise ValueError(f"row group {number} has {found} rows of {group.num_rows}")


def read_arrow(file: Path, fields: Sequence[str]) -> Iterator[Row]:
    """Every row of an Arrow IPC file or stream, with those `fields`. Raises `UnusableInput`."""
    try:
        size = file.stat().st_size
        opener = pa.memory_map if _has_large_batch(file, size) else pa.OSFile
        with opener(str(file)) as source:
            first_row = 0
            for batch in _batches(source):
                if batch.num_rows > _MAX_ROWS_PER_BYTE * size:
                    raise ValueError(f"a record batch says it has {batch.num_rows} rows")
                names = _present(batch.schema, fields)
                yield from _rows(batch, first_row, names)
                first_row += batch.num_rows
    except Exception as error:  # pyarrow raises of every kind on damage
        raise _damaged("damaged_arrow", error) from error


def _has_large_batch(file: Path, size: int) -> bool:
    """True when a record batch has more than `_MAX_HELD_BYTES`; looks at the headers alone.

    True too for a file whose headers are damaged somewhere.
    """
    if size <= _MAX_HELD_BYTES:
        return False
    with pa.memory_map(str(file)) as source:
        is_file = source.read(len(ARROW_MAGIC)) == ARROW_MAGIC
        source.seek(_FIRST_MESSAGE if is_file else 0)
        try:
            messages = pa.ipc.MessageReader.open_stream(source)
            return any(message.body.size > _MAX_HELD_BYTES for message in messages if message.body)
        except Exception:  # reading it will say what is wrong
            return True


def _batches(source: Any) -> Iterator[Any]:
    options = pa.ipc.IpcReadOptions(use_threads=False)
    is_file = source.read(len(ARROW_MAGIC)) == ARROW_MAGIC
    source.seek(0)
    if not is_file:
        yield from pa.ipc.open_stream(source, options=options)
        source.seek(max(0, source.size() - len(_STREAM_END)))
        if source.read() != _STREAM_END:
            raise ValueError("the stream lacks the mark of its end; it may have been cut off")
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
    return [
        OtherType(str(kind)[:100]) if known else None for known in column.is_valid().to_pylist()
    ]


def _damaged(reason: str, error: Exception) -> UnusableInput:
    if isinstance(error, UnusableInput):
        return error
    return UnusableInput(reason, f"{type(error).__name__}: {str(error).splitlines()[:1]}")
