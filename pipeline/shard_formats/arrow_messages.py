"""What an Arrow record batch would take in memory, known before anything is decompressed.

Stands below `arrow_file.py`. A compressed batch says of each buffer how long it becomes, and a
hostile one may say terabytes. pyarrow has no call for the sum, so the few fields needed are read
from the message's FlatBuffers table (format/Message.fbs of Apache Arrow).
"""

import struct

import pyarrow as pa

MAX_BATCH_BYTES = 1 << 30
"""Longest compressed record batch that is written or read, counted decompressed."""

_MESSAGE_HEADER, _BATCH_LENGTH, _BATCH_BUFFERS, _BATCH_COMPRESSION = 2, 0, 2, 3
_PREFIX_BYTES = 8
"""Before a message in a file: a mark, and how long its metadata is."""
_BUFFER = struct.Struct("<qq")
_STORED_AS_IS = -1


class _Table:
    """One FlatBuffers table at byte `place`; fields are counted from 0."""

    def __init__(self, content: memoryview, place: int) -> None:
        self._content, self._place = content, place
        self._fields = place - self._number("<i", place)

    def follow(self, field: int) -> int:
        """Where the table or vector that `field` refers to begins; 0 when the field is absent."""
        place = self._place_of(field)
        return place and place + self._number("<I", place)

    def integer(self, field: int) -> int:
        """The 64-bit number that `field` holds; 0 when the field is absent."""
        place = self._place_of(field)
        return place and self._number("<q", place)

    def _place_of(self, field: int) -> int:
        entry = 4 + 2 * field
        if entry >= self._number("<H", self._fields):
            return 0
        place = self._number("<H", self._fields + entry)
        return place and self._place + place

    def _number(self, form: str, place: int) -> int:
        return int(struct.unpack_from(form, self._content, place)[0])


def stated_rows(region: pa.Buffer) -> int:
    """Rows that the record batch in `region`, as it lies in a file, says it has.

    Nothing else of it is read. 0 for what is no record batch; any number for one that is damaged.
    """
    try:
        content = memoryview(region)[_PREFIX_BYTES:]
        root = _Table(content, struct.unpack_from("<I", content)[0])
        return _Table(content, root.follow(_MESSAGE_HEADER)).integer(_BATCH_LENGTH)
    except struct.error:
        return 0


def decompressed_bytes(message: pa.Message) -> int:
    """Sum over the buffers of a record batch of their declared lengths; 0 when not compressed.

    `ValueError` for a message that is no record batch or refers to bytes that it does not hold.
    """
    if message.type != "record batch":
        raise ValueError(f"a {message.type} message, expected a record batch")
    content = memoryview(message.metadata)
    try:
        root = _Table(content, struct.unpack_from("<I", content)[0])
        batch = _Table(content, root.follow(_MESSAGE_HEADER))
        if not batch.follow(_BATCH_COMPRESSION):
            return 0
        buffers = batch.follow(_BATCH_BUFFERS)
        count = struct.unpack_from("<I", content, buffers)[0]
        places = _BUFFER.iter_unpack(content[buffers + 4 : buffers + 4 + _BUFFER.size * count])
        return sum(_declared(memoryview(message.body), *place) for place in places)
    except struct.error as error:
        raise ValueError(f"fields that lie outside the message ({error})") from error


def _declared(body: memoryview, offset: int, length: int) -> int:
    """Bytes that one buffer takes when decompressed."""
    if not length:
        return 0
    if not 0 <= offset <= offset + length <= len(body):
        raise ValueError(f"a buffer at {offset}..{offset + length} of {len(body)} bytes")
    declared = int(struct.unpack_from("<q", body, offset)[0])
    if declared < _STORED_AS_IS:
        raise ValueError(f"a buffer that becomes {declared} bytes")
    return length if declared == _STORED_AS_IS else declared
