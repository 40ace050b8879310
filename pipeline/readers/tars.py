"""tar -> its members, one after another, without ever using a name as a path.

Reads ustar, GNU and pax headers. Nothing is extracted; links, devices and sparse files are told
apart from files and never followed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.readers.compression import READ_BYTES, ByteStream
from pipeline.readers.reads import UnusableInput

_UNIT_BYTES = 512
"""Headers are one unit; the data of members is filled up to whole ones."""

_MAX_HEADER_BYTES = 2**20
"""Largest long name or pax header; tar itself stays far below."""

_LENGTH_DIGITS = 9
"""At most so many digits give the length of a pax record."""

_FILE_KINDS = (b"0", b"\0", b"7")
_FOLDER = b"5"
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")


@dataclass(frozen=True, slots=True)
class TarMember:
    """A member by name. `start`, `stop`: half-open place of its data in the tar.

    `data` must be read, if at all, before the next member is asked for.
    """

    name: str
    is_file: bool
    start: int
    stop: int
    data: ByteStream


class _Counted:
    """A stream that knows its place and takes its end for damage."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream, self.place = stream, 0

    def read(self, size: int, /) -> bytes:
        out = self._stream.read(size)
        self.place += len(out)
        return out

    def exactly(self, size: int) -> bytes:
        out = self.read(size)
        if len(out) < size:
            raise UnusableInput("damaged_tar", f"it ends at byte {self.place}, inside a member")
        return out

    def skip_to(self, place: int) -> None:
        while self.place < place:
            self.exactly(min(READ_BYTES, place - self.place))


class _MemberData:
    """The bytes of one member."""

    def __init__(self, tar: _Counted, stop: int) -> None:
        self._tar, self._stop = tar, stop

    def read(self, size: int, /) -> bytes:
        """As `ByteStream` says; `UnusableInput` when the tar ends before the member does."""
        return self._tar.exactly(max(0, min(size, self._stop - self._tar.place)))


def tar_members(stream: ByteStream) -> Iterator[TarMember]:
    """Members but folders in their order, of concatenated tars too.

    Raises `UnusableInput` behind the last whole one. A tar that lacks its mark of the end counts
    as damaged: it may have been cut off there.
    """
    tar, has_end = _Counted(stream), False
    given: dict[str, str] = {}
    while header := tar.read(_UNIT_BYTES):
        if not header.strip(b"\0"):
            has_end = True
            continue
        has_end, kind = False, header[156:157]
        name, size = _parse(header, tar.place - _UNIT_BYTES)
        if kind in (b"x", b"g", b"L", b"K"):
            given |= _extended(tar, kind, size)
            continue
        name, size = given.get("path", name), _size_of(given, size)
        is_sparse = kind == b"S" or any(key.startswith("GNU.sparse") for key in given)
        given = {}
        if kind == b"S":
            _skip_sparse_map(tar, header)
        stop = tar.place + (0 if kind in _WITHOUT_DATA else size)
        if kind != _FOLDER and not name.endswith("/"):
            is_file = kind in _FILE_KINDS and not is_sparse
            yield TarMember(name, is_file, tar.place, stop, _MemberData(tar, stop))
        tar.skip_to(stop + -stop % _UNIT_BYTES)
    if not has_end:
        raise UnusableInput(
            "damaged_tar", f"it ends at byte {tar.place} without the mark of its end"
        )


def _parse(header: bytes, place: int) -> tuple[str, int]:
    """Name and size; `UnusableInput` for bytes that are no header."""
    try:
        if len(header) < _UNIT_BYTES:
            raise ValueError("cut off")
        found = sum(header) - sum(header[148:156]) + 8 * ord(" ")
        if found != _number(header[148:156]):
            raise ValueError("its check sum is wrong")
        size = _number(header[124:136])
        if size < 0:
            raise ValueError("its size is negative")
    except ValueError as error:
        detail = f"no header at byte {place}: {error}; what follows was not read"
        raise UnusableInput("damaged_tar", detail) from error
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name, size


def _number(field: bytes) -> int:
    """Octal digits, or GNU's binary form of large numbers."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ~(0x80 << 8 * (len(field) - 1))
        return value if field[0] != 0xFF else -1
    digits = field.split(b"\0")[0].strip()
    return int(digits, 8) if digits else 0


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _extended(tar: _Counted, kind: bytes, size: int) -> dict[str, str]:
    """What a header in front of a member says of it; nothing for one about all members."""
    if size > _MAX_HEADER_BYTES:
        raise UnusableInput("damaged_tar", f"a header of {size} bytes at byte {tar.place}")
    data = tar.exactly(size)
    tar.skip_to(tar.place + -size % _UNIT_BYTES)
    if kind == b"L":
        return {"path": _text(data)}
    return _pax_records(data, tar.place) if kind == b"x" else {}


def _pax_records(data: bytes, place: int) -> dict[str, str]:
    """Records of the form `<length> <key>=<value>\\n`, the length counting all of it."""
    found, start, end = {}, 0, len(data.rstrip(b"\0"))
    while start < end:
        space = data.find(b" ", start, start + _LENGTH_DIGITS + 1)
        digits = data[start : max(start, space)]
        stop = start + (int(digits) if digits.isdigit() else 0)
        key, is_pair, value = data[space + 1 : max(0, stop - 1)].partition(b"=")
        if space < 0 or not is_pair or data[stop - 1 : stop] != b"\n":
            raise UnusableInput("damaged_tar", f"a damaged pax header before byte {place}")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        start = stop
    return found


def _size_of(given: dict[str, str], size: int) -> int:
    text = given.get("size", str(size))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise UnusableInput("damaged_tar", f"a pax header gives the size {text[:40]!r}")
    return int(text)


def _skip_sparse_map(tar: _Counted, header: bytes) -> None:
    """Old GNU sparse headers go on in further units while their flag says so."""
    flag = header[482]
    while flag:
        flag = tar.exactly(_UNIT_BYTES)[504]


def is_unsafe(name: str) -> bool:
    """True for an absolute name and one that leads out of its folder."""
    parts = name.replace("\\", "/").split("/")
    return name.startswith(("/", "\\")) or ".." in parts or name[1:2] == ":"
