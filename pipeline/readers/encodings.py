"""Which encoding a file has, decided from its head alone, and bytes -> text under it.

Used by the readers of text and JSON. Every range of a file sees the same head, so that all of them
decide alike.
"""

import codecs
from dataclasses import dataclass
from functools import lru_cache

from pipeline.readers.reads import UnusableInput
from schemas.errors import ConfigError
from schemas.packages import missing_package

HEAD_BYTES = 64 * 2**10
"""How much of the beginning of a file decides what it is."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITHOUT_MARK = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}
_UNIT_BYTES = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_WESTERN = "cp1252"
"""Taken where the detector finds several encodings equally good, as it does for little text."""

_NOT_GUESSED = [
    f"cp{number:03d}"
    for number in (
        *(37, 273, 424, 437, 500, 720, 737, 775, 850, 852, 855, 857),
        *(858, 860, 861, 862, 863, 864, 865, 869, 875, 1026, 1140),
    )
]
"""Code pages of DOS and mainframes, which fit Western text by chance; name them where used."""

_AUTO_UNIT_RATIO = 0.3
"""Share of zero bytes in one place of the code unit that tells UTF-16 without a mark."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec by Python's name, with `unit_bytes` per code unit. Line ends are CR and LF."""

    name: str

    @property
    def unit_bytes(self) -> int:
        """1, 2 or 4."""
        return _UNIT_BYTES.get(self.name, 1)

    def decode(self, raw: bytes) -> str:
        """Strictly decoded, without a byte order mark; `UnusableInput` where that fails."""
        try:
            text = raw.decode(self.name)
        except UnicodeError as error:
            reason = "invalid_utf8" if self.name == "utf-8" else "undecodable"
            raise UnusableInput(reason, _describe(error, self.name)) from error
        return text[1:] if text.startswith("\ufeff") else text


def _describe(error: UnicodeError, name: str) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} of it is no {name}: {error.reason}"
    return f"no {name}: {error}"


@lru_cache
def check_encoding(name: str) -> str:
    """The codec's own name, or `auto`; `ConfigError` for one that cannot be used.

    A codec is usable when it is a text encoding in which CR and LF are the bytes of ASCII, or one
    of the UTF families.
    """
    if name == "auto":
        return name
    try:
        found = codecs.lookup(name).name
        known = _WITHOUT_MARK.get(found, found)
        fits = known in _UNIT_BYTES or ("\r\n".encode(known) == b"\r\n")
        "".encode(known), b"".decode(known)
    except (LookupError, UnicodeError, ValueError) as error:
        raise ConfigError(
            f"build.encoding: '{name}' is no text encoding; give 'utf-8', 'auto', or a name of "
            "Python's codecs such as 'latin-1' or 'gb18030'"
        ) from error
    if not fits:
        raise ConfigError(
            f"build.encoding: the line ends of '{name}' are not those of ASCII; convert the input "
            "to UTF-8 first"
        )
    return known


def encoding_of(head: bytes, wanted: str) -> Encoding:
    """The encoding of a file that begins with `head`: its byte order mark, else `wanted`.

    `wanted="auto"` takes UTF-8 where the first `HEAD_BYTES` are that, then UTF-16 by its zero
    bytes, then what charset-normalizer finds; deterministic for one version of it. Raises
    `UnusableInput` where it finds nothing, `ConfigError` for a `wanted` that cannot be used,
    `MissingPackageError` where charset-normalizer is needed and not installed.
    """
    for mark, name in _BOMS:
        if head.startswith(mark):
            return Encoding(name)
    name = check_encoding(wanted)
    return Encoding(_guess(head[:HEAD_BYTES]) if name == "auto" else name)


@lru_cache(maxsize=16)
def _guess(head: bytes) -> str:
    if b"\0" in head and (wide := _wide(head)):
        return wide
    if is_utf8(head):
        return "utf-8"
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        raise missing_package(
            "charset_normalizer", "build.encoding=auto", error, ", or name the encoding"
        ) from error
    found = from_bytes(_telling(head), cp_exclusion=_NOT_GUESSED)
    best = found.best()
    equals = [m for m in found if best and (m.chaos, m.coherence) == (best.chaos, best.coherence)]
    western = any(_WESTERN in match.could_be_from_charset for match in equals)
    try:
        return check_encoding(_WESTERN if western else best.encoding if best else "")
    except ConfigError as error:
        raise UnusableInput(
            "unknown_encoding", "nothing fits its head; name it in build.encoding"
        ) from error


def is_utf8(head: bytes) -> bool:
    """True when `head` is UTF-8, apart from a character that a head of full length cuts off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return True


def _wide(head: bytes) -> str:
    """UTF-16 by zero bytes that are many in one place of the code unit and few in the other."""
    units = max(1, len(head) // 2)
    first, second = head[0::2].count(0) / units, head[1::2].count(0) / units
    if max(first, second) < _AUTO_UNIT_RATIO or min(first, second) > _AUTO_UNIT_RATIO / 3:
        return ""
    return "utf-16-be" if first > second else "utf-16-le"


def _telling(head: bytes) -> bytes:
    """The lines of `head` that are not ASCII, which alone tell encodings apart."""
    return b"".join(line for line in head.splitlines(keepends=True) if not line.isascii())


def looks_like_text(head: bytes, wanted: str) -> bool:
    """True when `head` has a byte order mark, or no control character and no invalid UTF-8.

    Under another encoding than UTF-8 only control characters count.
    """
    if head.startswith(tuple(mark for mark, _ in _BOMS)):
        return True
    known = check_encoding(wanted)
    if known in _UNIT_BYTES:
        return True
    clean = not head.translate(None, bytes(set(range(256)) - set(_CONTROL)))
    return clean and (known != "utf-8" or is_utf8(head))
