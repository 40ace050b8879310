"""inputs -> documents: every document of a byte range, or the reason why there is none.

First step of the flow. Offsets count bytes of the decompressed stream, so that a document's default
id (`<path>#<offset>`) is the same on every machine.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pipeline.randomness import hash_fraction
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import SourceRange

JSONL_SUFFIXES = (".jsonl", ".jsonl.gz")
TEXT_SUFFIXES = (".txt", ".txt.gz")
SUFFIXES = JSONL_SUFFIXES + TEXT_SUFFIXES

EXCERPT_CHARACTERS = 200
SHOWN_CASES = 3


@dataclass(frozen=True, slots=True)
class Document:
    """One input text. `start`, `stop`: its half-open byte range in the decompressed input.

    `prompt` stands before `text`, is read and never predicted. `language` is what the input says,
    empty where it says nothing. `is_instruction`: `text` is the completion of `prompt`, and both
    belong into one sample.
    """

    id: str
    text: str
    path: str
    start: int
    stop: int
    prompt: str = ""
    language: str = ""
    is_instruction: bool = False


@dataclass(frozen=True, slots=True)
class BadInput:
    """Something that is no document: `reason` is a fixed name, `detail` says what was seen."""

    reason: str
    path: str
    start: int
    stop: int
    detail: str
    excerpt: str


Read = Document | BadInput


def format_of(path: str) -> str:
    """`jsonl` or `text` by the name's ending; `InputError` naming the known endings otherwise."""
    for name, suffixes in (("jsonl", JSONL_SUFFIXES), ("text", TEXT_SUFFIXES)):
        if path.lower().endswith(suffixes):
            return name
    raise InputError(f"{path}: unknown format; inputs end in {', '.join(SUFFIXES)}")


def is_splittable(path: str) -> bool:
    """True when the format has document boundaries inside an uncompressed file."""
    return format_of(path) == "jsonl" and not path.lower().endswith(".gz")


def read_documents(file: Path, source: SourceRange, config: BuildConfig) -> Iterator[Read]:
    """Documents and bad inputs of one range of `file`, in order; raises nothing for bad content.

    `source.path` is the name that goes into ids and reports. At most one document is held.
    """
    read = _read_jsonl if format_of(source.path) == "jsonl" else _read_text
    reached = source.start
    try:
        with _opened(file) as stream:
            stream.seek(source.start)
            for document in read(stream, source, config):
                reached = document.stop
                yield document
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield _bad("damaged_gzip", source, reached, b"", f"{type(error).__name__}: {error}")


def _opened(file: Path) -> IO[bytes]:
    compressed = file.name.lower().endswith(".gz")
    return cast(IO[bytes], gzip.open(file, "rb") if compressed else file.open("rb"))


def _read_jsonl(stream: IO[bytes], source: SourceRange, config: BuildConfig) -> Iterator[Read]:
    offset = source.start
    compressed = source.path.lower().endswith(".gz")
    for line in stream:
        if not compressed and offset >= source.stop:
            return
        if line.strip():
            yield _parse_line(line, offset, source, config)
        offset += len(line)


def _parse_line(line: bytes, offset: int, source: SourceRange, config: BuildConfig) -> Read:
    def bad(reason: str, detail: str) -> BadInput:
        return _bad(reason, source, offset, line, detail)

    try:
        value = json.loads(line.decode("utf-8-sig" if offset == 0 else "utf-8"))
    except UnicodeDecodeError as error:
        return bad("invalid_utf8", f"byte {offset + error.start}: {error.reason}")
    except (ValueError, RecursionError) as error:
        return bad("malformed_json", str(error))
    if not isinstance(value, dict):
        return bad("not_an_object", f"a JSON {type(value).__name__}")
    text = value.get(config.text_field)
    if not isinstance(text, str):
        found = "absent" if config.text_field not in value else type(text).__name__
        return bad("no_text", f"field '{config.text_field}' is {found}, expected a string")
    given = value.get(config.id_field)
    if given is not None and (not isinstance(given, str | int) or isinstance(given, bool)):
        return bad("bad_id", f"field '{config.id_field}' is a {type(given).__name__}")
    return _document(str(given) if given is not None else "", text, (offset, line), source, config)


def _read_text(stream: IO[bytes], source: SourceRange, config: BuildConfig) -> Iterator[Read]:
    content = stream.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        detail = f"byte {error.start}: {error.reason}"
        yield _bad("invalid_utf8", source, 0, content, detail)
    else:
        yield _document("", text, (0, content), source, config)


def _document(
    given: str, text: str, at: tuple[int, bytes], source: SourceRange, config: BuildConfig
) -> Read:
    offset, raw = at
    try:
        text.encode()
        given.encode()
    except UnicodeEncodeError as error:
        return _bad("lone_surrogate", source, offset, raw, f"character {error.start}")
    place = f"{source.path}#{offset}"
    name = f"{given}@{place}" if given and config.duplicate_ids == "suffix" else given or place
    return Document(name, text, source.path, offset, offset + len(raw))


def _bad(reason: str, source: SourceRange, offset: int, raw: bytes, detail: str) -> BadInput:
    excerpt = raw[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")[:EXCERPT_CHARACTERS]
    return BadInput(reason, source.path, offset, offset + len(raw), detail, excerpt)


def is_heldout(document_id: str, ratio: float) -> bool:
    """True for documents that only the held-out split sees, whatever the seed and the pass."""
    return hash_fraction(document_id, "heldout") < ratio


def bad_ratio_error(num_bad: int, total: int, limit: float, bad: Sequence[BadInput]) -> InputError:
    """The message for too much unusable input, with its first cases."""
    cases = "".join(
        f"\n  {case.path} at byte {case.start}: {case.reason} ({case.detail})"
        for case in bad[:SHOWN_CASES]
    )
    return InputError(
        f"{num_bad} of {total} documents cannot be used, more than the ratio {limit} allowed; "
        f"raise build.max_bad_ratio, or mend the input and "
        f"build into another folder. First cases:{cases}"
    )
