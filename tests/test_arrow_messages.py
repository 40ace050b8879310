import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shard_formats.arrow_messages import decompressed_bytes, stated_rows

CODECS = st.sampled_from(["lz4", "zstd"])


def message_of(batch, compression):
    """The batch as it stands in a file: pyarrow's reader of messages keeps it compressed."""
    options = pa.ipc.IpcWriteOptions(compression=compression)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    reader.read_next_message()
    return reader.read_next_message()


def batch_of(lengths):
    columns = {f"zeros {size}": np.zeros(size, np.uint8) for size in lengths}
    rows = max(lengths)
    arrays = [pa.array(np.resize(column, rows)) for column in columns.values()]
    return pa.record_batch(arrays, names=list(columns))


@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5, unique=True), codec=CODECS)
def test_the_sum_is_that_of_the_buffers_once_decompressed(sizes, codec):
    batch = batch_of(sizes)
    stored = message_of(batch, codec)
    read = pa.ipc.read_record_batch(stored, batch.schema)
    held = sum(buffer.size for column in read.columns for buffer in column.buffers() if buffer)
    assert held <= decompressed_bytes(stored) <= held + 16 * len(sizes)


def test_what_is_not_compressed_adds_nothing():
    assert decompressed_bytes(message_of(batch_of([1000]), None)) == 0


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("declared", [2**20, 2**40, 2**62])
def test_a_lie_about_a_buffer_is_believed_before_it_is_decompressed(codec, declared):
    body, metadata = changed(message_of(batch_of([4000]), codec), struct.pack("<q", declared))
    assert decompressed_bytes(as_message(metadata, body)) == declared


def test_a_buffer_of_negative_length_is_an_error():
    body, metadata = changed(message_of(batch_of([4000]), "zstd"), struct.pack("<q", -2))
    with pytest.raises(ValueError, match="a buffer that becomes -2 bytes"):
        decompressed_bytes(as_message(metadata, body))


def test_a_buffer_outside_the_body_is_an_error():
    stored = message_of(batch_of([4000]), "zstd")
    size = stored.body.size
    metadata = stored.metadata.to_pybytes()
    places = range(0, len(metadata) - 16)
    (place,) = (at for at in places if _is_last_buffer(metadata, at, size))
    metadata = metadata[:place] + struct.pack("<qq", 8, size) + metadata[place + 16 :]
    with pytest.raises(ValueError, match=rf"a buffer at 8\.\.{size + 8} of {size} bytes"):
        decompressed_bytes(as_message(metadata, stored.body.to_pybytes()))


def test_a_message_that_is_no_record_batch_is_an_error():
    schema = pa.ipc.read_message(batch_of([4]).schema.serialize())
    with pytest.raises(ValueError, match="a schema message, expected a record batch"):
        decompressed_bytes(schema)


def _is_last_buffer(metadata, at, size):
    offset, length = struct.unpack_from("<qq", metadata, at)
    return offset == 0 and size - 8 < length < size


def changed(stored, prefix):
    """Body and metadata of a message whose first buffer is declared to become another length."""
    return prefix + stored.body.to_pybytes()[8:], stored.metadata.to_pybytes()


def as_message(metadata, body):
    head = struct.pack("<iI", -1, len(metadata))
    return pa.ipc.read_message(pa.py_buffer(head + metadata + body))


def region_of(batch):
    """The bytes of a record batch in a file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    start = batch.schema.serialize().size
    return sink.getvalue().slice(start, pa.ipc.get_record_batch_size(batch))


@given(rows=st.integers(1, 9000))
def test_a_record_batch_states_its_rows(rows):
    assert stated_rows(region_of(batch_of([rows]))) == rows


@given(position=st.integers(0, 199), byte=st.integers(0, 255), size=st.integers(0, 250))
def test_what_a_damaged_record_batch_states_is_a_number(position, byte, size):
    content = bytearray(region_of(batch_of([40])).to_pybytes()[:size])
    content[position : position + 1] = bytes([byte])
    assert isinstance(stated_rows(pa.py_buffer(bytes(content))), int)


def test_what_is_no_record_batch_states_no_rows():
    assert [stated_rows(pa.py_buffer(content)) for content in (b"", b"x" * 9, bytes(400))] == [
        0
    ] * 3
