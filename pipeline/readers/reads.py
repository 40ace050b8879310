"""What reading gives: a document, or the reason why something is none.

Stands below every reader of `documents.py`. A reader never drops anything: it gives a `Document`, a
`BadInput`, or adds to a `Tally`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import InputError
from schemas.plan import SourceRange

EXCERPT_CHARACTERS = 200
SHOWN_CASES = 3

MAX_DOCUMENT_BYTES = 64 * 2**20
"""Largest document, in bytes of its raw form; bounds the memory of every reader."""

REASONS = {
    "invalid_utf8": "bytes that are no UTF-8",
    "undecodable": "bytes that the encoding named or found does not have",
    "unknown_encoding": "build.encoding=auto found no encoding that fits the head of the file",
    "binary_content": "more than a tenth of the characters are NUL",
    "lone_surrogate": "half of a surrogate pair, which no encoding can write",
    "malformed_json": "not one JSON value, nested too deeply, or a number beyond Python's limit",
    "duplicate_key": "a JSON object that names one of its keys twice",
    "not_an_object": "a JSON value that is no object",
    "no_text": "the text field is absent or no string",
    "bad_prompt": "the prompt is no string, or a completion stands without one",
    "bad_id": "the id is neither a string nor an integer",
    "too_large": f"a document of more than {MAX_DOCUMENT_BYTES // 2**20} MiB",
    "empty_file": "a file, or a compressed stream, of no bytes",
    "damaged_gzip": "a gzip stream that is truncated or fails its check",
    "damaged_zst": "a Zstandard stream that is truncated or fails its check",
    "damaged_bz2": "a bzip2 stream that is truncated or fails its check",
    "damaged_xz": "an xz stream that is truncated or fails its check",
    "damaged_parquet": "a Parquet file that cannot be read to its end",
    "damaged_arrow": "an Arrow file or stream that cannot be read to its end",
    "damaged_tar": "a tar that is truncated or has a damaged header",
    "unsafe_name": "a tar member whose name is absolute or leaves its folder",
    "killed_worker": "a document whose processing ended the process, again and again",
    "raised_error": "a document whose processing raised an unforeseen error",
}
"""Every reason a `BadInput` can have, and what it means."""

Tally = Counter[str]
"""What was read otherwise than it stands there or passed over on purpose, under fixed names."""

NUL_REMOVED = "documents.repaired.nul_removed"
TAR_OTHER = "documents.skipped.tar_member_of_another_kind"
TAR_METADATA = "documents.skipped.tar_json_beside_text"
TALLIES = {
    NUL_REMOVED: "documents that lost their NUL characters",
    TAR_OTHER: "tar members that are no text: other suffixes, links, devices, sparse files",
    TAR_METADATA: "`KEY.json` members of a tar beside a `KEY.txt`, which is the text",
}
"""Every name a `Tally` can hold, and what it counts."""


@dataclass(frozen=True, slots=True)
class Document:
    """One input text. `start`, `stop`: its half-open range in the input: bytes, decompressed, or
    rows of Parquet and Arrow.

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
    """Something that is no document: `reason` is a key of `REASONS`, `detail` what was seen.

    `start`, `stop`: half-open range, in the unit of `Document`. `id` is the document's, empty
    where reading came to none.
    """

    reason: str
    path: str
    start: int
    stop: int
    detail: str
    excerpt: str
    id: str = ""


Read = Document | BadInput


class UnusableInput(Exception):
    """Why a piece of an input, or its rest, cannot be used; `read_documents` makes it a `BadInput`.

    `reason` is a key of `REASONS`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def bad_input(
    reason: str, source: SourceRange, at: tuple[int, int], raw: bytes, detail: str
) -> BadInput:
    """The case of bytes `raw`, or of their beginning, at the half-open range `at`."""
    assert reason in REASONS
    excerpt = raw[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")[:EXCERPT_CHARACTERS]
    return BadInput(reason, source.path, *at, detail, excerpt)


AFTER_MENDING = (
    "build into another folder; where this grows a finished data set, leaving the input out of "
    "--input is enough: the data set stays as it was"
)


def bad_ratio_error(num_bad: int, total: int, limit: float, bad: Sequence[BadInput]) -> InputError:
    """The message for too much unusable input, with its first cases."""
    cases = "".join(
        f"\n  {case.path}#{case.start}: {case.reason} ({case.detail})" for case in bad[:SHOWN_CASES]
    )
    return InputError(
        f"{num_bad} of {total} documents cannot be used, more than the ratio {limit} allowed; "
        f"raise build.max_bad_ratio, or mend the input and {AFTER_MENDING}. First cases:{cases}"
    )
