"""JSON files that know their own hash: a changed byte is found when the file is read.

Used for plan, records, manifest and what describes a run. The key `digest` holds the SHA-256 of the
canonical JSON of everything else.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from schemas.config import digest
from schemas.errors import DatasetError
from schemas.samples import SCHEMA_VERSION

T = TypeVar("T")

_DIGEST, _VERSION = "digest", "schema_version"


def seal(content: Mapping[str, Any]) -> str:
    """`content` as JSON text with schema version and digest; equal content gives equal bytes."""
    versioned = json.loads(json.dumps({**content, _VERSION: SCHEMA_VERSION}))
    sealed = versioned | {_DIGEST: digest(versioned)}
    return json.dumps(sealed, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def unseal(text: str, place: str, remedy: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """What `parse` makes of the content that was sealed as `text`.

    Raises `DatasetError` naming `place` for another schema version, and with `remedy` for anything
    that was not written by `seal` or was changed since.
    """
    try:
        content = json.loads(text)
        found = content.pop(_DIGEST, None)
        version = content.get(_VERSION)
        if version != SCHEMA_VERSION and found == digest(content):
            raise DatasetError(
                f"{place}: schema version {version!r}, this release reads {SCHEMA_VERSION}; "
                "use the release that wrote it, or build anew"
            )
        if found != digest(content):
            raise DatasetError(
                f"{place}: damaged, or not written by this project (its digest does not fit its "
                f"content); {remedy}"
            )
        return parse(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"{place}: damaged, or not written by this project ({type(error).__name__}: {error}); "
            f"{remedy}"
        ) from error


def read_sealed(path: Path) -> str:
    """Text of a sealed file; bytes that are no UTF-8 come as a mark, which its digest refuses.

    Raises `DatasetError` when there is no such file.
    """
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
