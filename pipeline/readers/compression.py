"""Files -> decompressed bytes: the kind is read from the content, damage is found and placed.

Everything before damage is given, to the last byte that can be decompressed; then `UnusableInput`
says what was seen and how many compressed bytes were left.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any, Protocol

import pyarrow as pa

from pipeline.readers.reads import UnusableInput

READ_BYTES = 2**20
_STEP_BYTES = 2**16
_OUTPUT_BYTES = 2**18
"""Most that one step may give, lest a small input becomes a large memory; the same in both passes
of `_Salvaged`, so that they stop at the same places."""

_MEMORY_BYTES = 2**27
"""What an xz stream may ask for as its dictionary; `xz -9` needs half of it."""

_MAGIC: dict[str, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b\x08",),
    "zst": (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + low]) + b"\x2a\x4d\x18" for low in range(16))),
    "bz2": tuple(
        b"BZh%d%b" % (level, tail)
        for level in range(1, 10)
        for tail in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
    ),
    "xz": (b"\xfd7zXZ\0",),
}
"""First bytes by kind; of Zstandard also those of a skippable frame, of an empty bzip2 too."""


class ByteStream(Protocol):
    """What readers need of an input."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes, fewer at the end and before damage; `UnusableInput` where that begins."""


class SeekableStream(ByteStream, Protocol):
    """A `ByteStream` that can go to any of its places."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As of files."""


def compression_of(head: bytes) -> str:
    """`gzip`, `zst`, `bz2`, `xz`, or nothing, by the first bytes of a file."""
    return next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), "")


def decompressed(file: IO[bytes], kind: str) -> ByteStream:
    """The content of a seekable `file` of this kind, from its beginning."""
    return _Salvaged(file, kind, _Zstandard if kind == "zst" else _Members)


class _Salvaged:
    """Output of a decompressor, up to the very byte where it fails.

    A decompressor keeps back what it had produced in a call that raises. So after a failure the
    file is read a second time, and from the failed call on in the smallest steps.
    """

    def __init__(self, file: IO[bytes], kind: str, opener: Callable[..., Any]) -> None:
        self._file, self._kind, self._opener = file, kind, opener
        self._inner = opener(file, kind, None)
        self._ready = bytearray()
        self._produced = 0
        self._failure: UnusableInput | None = None
        self._is_second = self._is_over = False

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes, fewer only before damage and at the end."""
        while len(self._ready) < size and not self._is_over:
            self._advance()
        out = bytes(self._ready[:size])
        del self._ready[:size]
        if self._failure is not None and size and not out:
            raise self._failure
        return out

    def _advance(self) -> None:
        try:
            out = self._inner.advance()
        except Exception as error:  # every codec has its own
            self._fail(error)
            return
        self._is_over = out is None
        self._ready += out or b""
        self._produced += len(out or b"")

    def _fail(self, error: Exception) -> None:
        if self._is_second:
            left, size = self._inner.left(), self._file.seek(0, 2)
            detail = f"{error}; {left} of its {size} bytes were not read"
            self._failure, self._is_over = UnusableInput(f"damaged_{self._kind}", detail), True
            return
        self._is_second = True
        self._inner = self._opener(self._file, self._kind, self._inner.position)
        passed = 0
        while passed < self._produced:
            passed += len(self._inner.advance())
        assert passed == self._produced


class _Zlib:
    """zlib's decompressor with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(out) < max_length
        return out

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "gzip": _Zlib,
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_BYTES),
}


class _Members:
    """One or more compressed members, fed in steps: of one byte from `careful_from` on.

    `position` is where in the file the last step began.
    """

    def __init__(self, file: IO[bytes], kind: str, careful_from: int | None) -> None:
        self._file, self._make, self._careful_from = file, _DECOMPRESSORS[kind], careful_from
        self._inner, self._rest = self._make(), b""
        self.position = file.seek(0)

    def advance(self) -> bytes | None:
        """Some output, possibly none yet; None at the end."""
        self.position = self._file.tell() - len(self._rest)
        if self._inner.eof and not self._next_member():
            return None
        data = b""
        if self._inner.needs_input:
            data = self._step()
            if not data:
                raise EOFError("it ends in the middle")
        out: bytes = self._inner.decompress(data, _OUTPUT_BYTES)
        return out

    def left(self) -> str:
        """How many bytes of the file lie behind the last step, in words."""
        return str(self._file.seek(0, 2) - self.position)

    def _step(self) -> bytes:
        size = _STEP_BYTES
        if self._careful_from is not None:
            size = max(1, min(size, self._careful_from - self.position))
        if not self._rest:
            return self._file.read(size)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _next_member(self) -> bool:
        """True when another member follows; zero bytes between and behind members are padding."""
        rest = self._inner.unused_data + self._rest
        while not (stripped := rest.lstrip(b"\0")):
            rest = self._file.read(_STEP_BYTES)
            if not rest:
                return False
        self._inner, self._rest = self._make(), stripped
        self.position = self._file.tell() - len(stripped)
        return True


class _Lent:
    """A file that pyarrow may read and does not close, since it is read a second time."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read

    def close(self) -> None:
        """Leave the file open."""


class _Zstandard:
    """Zstandard frames through pyarrow; `position` counts bytes of output."""

    def __init__(self, file: IO[bytes], kind: str, careful_from: int | None) -> None:
        file.seek(0)
        self._file, self._careful_from, self.position = file, careful_from, 0
        self._inner = pa.CompressedInputStream(pa.PythonFile(_Lent(file), "r"), "zstd")

    def advance(self) -> bytes | None:
        """Some output; None at the end."""
        size = _STEP_BYTES
        if self._careful_from is not None:
            size = max(1, min(size, self._careful_from - self.position))
        out: bytes = self._inner.read(size)
        self.position += len(out)
        return out or None

    def left(self) -> str:
        """How many bytes the decompressor has not even taken in, in words."""
        taken = self._file.tell()
        return f"at least {self._file.seek(0, 2) - taken}"
