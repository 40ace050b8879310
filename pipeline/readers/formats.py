"""Names -> formats, and a file's head -> how it is read.

The name says what is in a file (lines of JSON, text, a table, a tar); its first bytes say whether
and how that is compressed, and in which encoding it is.
"""

from dataclasses import dataclass

from pipeline.readers.compression import compression_of
from pipeline.readers.encodings import check_encoding, encoding_of, looks_like_text
from pipeline.readers.parquet_footer import PARQUET_MAGIC
from pipeline.readers.reads import UnusableInput
from pipeline.readers.table_input import ARROW_MAGIC
from schemas.build_config import BuildConfig
from schemas.errors import InputError

JSONL, JSON, TEXT, PARQUET, ARROW, TAR = "jsonl", "json", "text", "parquet", "arrow", "tar"
COMPRESSED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
_KINDS = {
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".json": JSON,
    ".txt": TEXT,
    ".tar": TAR,
    ".tgz": TAR,
    ".parquet": PARQUET,
    ".arrow": ARROW,
    ".feather": ARROW,
}
_PLAIN_ONLY = (PARQUET, ARROW)
SUFFIXES = tuple(_KINDS) + tuple(
    suffix + ending
    for suffix, kind in _KINDS.items()
    for ending in COMPRESSED_SUFFIXES
    if kind not in _PLAIN_ONLY and suffix != ".tgz"
)
"""Endings of the names that can be read, in lower case."""

_COMPRESSION = {".gz": "gzip", ".tgz": "gzip", ".zst": "zst", ".bz2": "bz2", ".xz": "xz"}
_TABLE_MAGIC = {PARQUET_MAGIC: PARQUET, ARROW_MAGIC: ARROW}


def kind_of(name: str) -> str:
    """One of the constants above; `InputError` naming the known endings for any other name."""
    lower = name.lower()
    if lower.endswith(SUFFIXES):
        for ending in COMPRESSED_SUFFIXES:
            lower = lower.removesuffix(ending)
        return _KINDS["." + lower.rpartition(".")[2]]
    raise InputError(
        f"{name}: unknown format; inputs end in {', '.join(_KINDS)}, all but tables also followed "
        f"by {', '.join(COMPRESSED_SUFFIXES)}"
    )


def compression_named(name: str) -> str:
    """The compression that a name ends in, or nothing."""
    return next((kind for end, kind in _COMPRESSION.items() if name.lower().endswith(end)), "")


@dataclass(frozen=True)
class Format:
    """How a file is read: what it holds, and how its bytes are compressed (empty: not at all)."""

    kind: str
    compression: str


def format_of(name: str, head: bytes, config: BuildConfig) -> Format:
    """The format of a file called `name` that begins with `head`.

    Raises `UnusableInput` where the name says compressed and the content is neither that nor text,
    `InputError` for an unknown name, `ConfigError` for an unknown encoding.
    """
    kind, compression = kind_of(name), compression_of(head)
    check_encoding(config.encoding)
    if kind in _PLAIN_ONLY:
        return Format(next((k for m, k in _TABLE_MAGIC.items() if head.startswith(m)), kind), "")
    named = compression_named(name)
    lies = named and not compression and kind != TAR
    if lies and not looks_like_text(head, config.encoding):
        detail = f"its first bytes, {head[:6].hex(' ')}, are neither {named} nor text"
        raise UnusableInput(f"damaged_{named}", detail)
    return Format(kind, compression)


def is_splittable(name: str, head: bytes, config: BuildConfig) -> bool:
    """True for lines and paragraphs in a plain file whose code unit is one byte."""
    try:
        found = format_of(name, head, config)
        by_line = found.kind == JSONL or (found.kind == TEXT and config.text_unit != "file")
        return (
            by_line and not found.compression and encoding_of(head, config.encoding).unit_bytes == 1
        )
    except UnusableInput:
        return False
