"""Laws about what was read of a damaged file: nothing of the file is missing in it.

`check_account` holds for every file but tables, which have `check_rows`.
"""

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipeline.readers.compression import compression_of, decompressed
from pipeline.readers.encodings import HEAD_BYTES, Encoding, encoding_of
from pipeline.readers.parquet_footer import PARQUET_MAGIC, row_groups
from pipeline.readers.reads import TAR_METADATA, TAR_OTHER, BadInput, Read, Tally, UnusableInput
from pipeline.readers.table_input import ARROW_MAGIC
from pipeline.readers.tars import tar_members

_SPACE = "\ufeff \t\r\n\v\f"
_TABLE_REASONS = ("damaged_parquet", "damaged_arrow", "empty_file")
Span = tuple[int, int]


def check_account(
    name: str, content: bytes, wanted: str, found: Sequence[Read], tally: Tally
) -> None:
    """Every byte, or every member of a tar, is in something read or counted.

    `wanted` is the configured encoding.
    """
    stream, is_whole = _readable(content)
    ranges, rest = _split_rest(found)
    if ".tar" in name:
        _check_members(stream, ranges, rest, tally)
        return
    if rest is not None and rest.reason in ("empty_file", "unknown_encoding"):
        assert not ranges
        assert rest.reason == "unknown_encoding" or not stream
        return
    if rest is not None and rest.reason.startswith("damaged_") and not compression_of(content):
        assert not ranges
        assert rest.start == 0
        return
    encoding = encoding_of(stream[:HEAD_BYTES], wanted)
    if name.endswith(".json") and _stripped(stream, encoding).startswith("["):
        if encoding != Encoding("utf-8"):  # offsets count its UTF-8 form
            stream = _decodable(stream, encoding).encode()
        _check_gaps(stream, ranges, Encoding("utf-8"), _SPACE + "[,]", has_rest=rest is not None)
        return
    assert (rest is not None) == (not is_whole)
    tail = _check_gaps(stream, ranges, encoding, _SPACE, has_rest=not is_whole)
    assert "\n" not in tail, "a whole line before the damage was lost"
    assert "\r" not in tail, "a whole line before the damage was lost"


def _readable(content: bytes) -> tuple[bytes, bool]:
    """The decompressed stream as far as it can be read, and whether that is to its end."""
    kind, found = compression_of(content), b""
    if not kind:
        return content, True
    stream = decompressed(io.BytesIO(content), kind)
    try:
        while piece := stream.read(2**16):
            found += piece
    except UnusableInput:
        return found, False
    return found, True


def _split_rest(found: Sequence[Read]) -> tuple[list[Read], BadInput | None]:
    """What has a range, and the last case where it stands for the rest of the input."""
    ranges = list(found)
    last = ranges[-1] if ranges else None
    if isinstance(last, BadInput) and last.start == last.stop:
        return ranges[:-1], last
    return ranges, None


def _check_gaps(
    stream: bytes, ranges: Sequence[Read], encoding: Encoding, signs: str, has_rest: bool
) -> str:
    """Only `signs` stand between ranges, and behind the last one unless the rest is a case.

    Returns what stands behind the last one.
    """
    edges = [0, *(edge for one in ranges for edge in (one.start, one.stop)), len(stream)]
    *gaps, tail = (
        _stripped(stream[start:stop], encoding, signs)
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
    )
    assert not any(gaps), gaps
    assert has_rest or not tail, tail
    return tail


def _decodable(raw: bytes, encoding: Encoding) -> str:
    """The text up to the first bytes that the encoding does not have."""
    try:
        return raw.decode(encoding.name)
    except UnicodeDecodeError as error:
        return raw[: error.start].decode(encoding.name)


def _stripped(raw: bytes, encoding: Encoding, signs: str = _SPACE) -> str:
    return raw.decode(encoding.name, "replace").strip(signs)


def _check_members(
    content: bytes, ranges: Sequence[Read], rest: BadInput | None, tally: Tally
) -> None:
    places: list[Span] = []
    try:
        for member in tar_members(io.BytesIO(content)):
            places.append((member.start, member.stop))
        is_whole = True
    except UnusableInput:
        is_whole = False
    everything = [*ranges, *([rest] if rest else [])]
    num_unread = sum(
        not any(start <= one.start <= one.stop <= stop for one in everything)
        for start, stop in places
    )
    passed_over = tally[TAR_OTHER] + tally[TAR_METADATA]
    assert num_unread == passed_over or (rest is not None and num_unread == passed_over + 1)
    assert is_whole or rest is not None


def table_parts(content: bytes) -> list[Span]:
    """Bytes of every row group, or of the body of every record batch, of a sound table."""
    if content.startswith(PARQUET_MAGIC):
        return [
            (group.start, group.stop) for group in row_groups(io.BytesIO(content), len(content))
        ]
    source = pa.BufferReader(content)
    source.seek(8 if content.startswith(ARROW_MAGIC) else 0)
    found = []
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type == "record batch":
            found.append((source.tell() - message.body.size, source.tell()))
    return found


def is_between(content: bytes, mutant: bytes, parts: Sequence[Span]) -> bool:
    """True when `mutant` differs from `content` inside of the parts alone, if at all."""
    if len(content) != len(mutant):
        return False
    changed = np.frombuffer(content, np.uint8) != np.frombuffer(mutant, np.uint8)
    for start, stop in parts:
        changed[start:stop] = False
    return not changed.any()


def check_rows(num_rows: int | None, sound: Sequence[Read], found: Sequence[Read]) -> None:
    """Rows come without gaps, up to the last of `num_rows` or to damage, which is one case.

    `num_rows` is None where damage may have changed it. `sound` is what lies before all damage.
    """
    ranges, rest = _split_rest(found)
    assert [(one.start, one.stop) for one in ranges] == list(pairwise(range(len(ranges) + 1)))
    assert rest is None or (rest.reason in _TABLE_REASONS and rest.start == len(ranges))
    if num_rows is not None:
        assert len(ranges) == num_rows or (rest is not None and len(ranges) < num_rows)
    assert ranges[: len(sound)] == list(sound)
