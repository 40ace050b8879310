"""The faults of the matrix: what each does to a file, and what an error must say of it.

Stands below `fault_matrix_cells.py`, which says when and where a fault strikes.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.datasets import flip

SHARD, TABLE, MANIFEST = "shard", "shard table", "manifest.json"

BIT = "one bit"
HEADER, FIRST = f"{BIT} of the header", f"{BIT} of the first record batch"
LATER, FOOTER = f"{BIT} of a later record batch", f"{BIT} of the footer"
CUT, LONGER, EMPTIED = "cut short", "made longer", "emptied"
SWAPPED, DELETED = "swapped with another shard", "deleted"
REPLACED = "replaced by that of another data set"
REWRITTEN = "overwritten in place by that of another data set"

OF_ANY_FILE = (CUT, LONGER, EMPTIED, DELETED, REPLACED, REWRITTEN)
FAULTS = {
    SHARD: (HEADER, FIRST, LATER, FOOTER, SWAPPED, *OF_ANY_FILE),
    TABLE: (HEADER, FIRST, FOOTER, *OF_ANY_FILE),
    MANIFEST: (BIT, *OF_ANY_FILE),
}
"""By what they strike, in the order of the table."""


@dataclass(frozen=True)
class Strike:
    """A file, the one it is swapped with, and the bytes it has in another data set; `position` is
    that of the bit, or where it is cut."""

    path: Path
    partner: Path
    foreign: bytes
    position: int


def strike(fault: str, struck: Strike) -> None:
    """Do the damage."""
    _STRIKES.get(fault, _flip)(struck)


def _flip(struck: Strike) -> None:
    flip(struck.path, struck.position)


def _lengthen(struck: Strike) -> None:
    with struck.path.open("ab") as stream:
        stream.write(b"\0")


def _swap(struck: Strike) -> None:
    aside = struck.path.with_name("aside")
    struck.path.rename(aside)
    struck.partner.rename(struck.path)
    aside.rename(struck.partner)


def _replace(struck: Strike) -> None:
    other = struck.path.with_name("other")
    other.write_bytes(struck.foreign)
    other.replace(struck.path)


def _rewrite(struck: Strike) -> None:
    """In place; the time of change is pushed on as a later clock tick would."""
    before = struck.path.stat()
    with struck.path.open("r+b") as stream:
        stream.write(struck.foreign)
        stream.truncate()
    os.utime(struck.path, ns=(before.st_atime_ns, before.st_mtime_ns + 10_000_000))


_STRIKES: dict[str, Callable[[Strike], None]] = {
    CUT: lambda struck: os.truncate(struck.path, struck.position),
    EMPTIED: lambda struck: os.truncate(struck.path, 0),
    DELETED: lambda struck: struck.path.unlink(),
    LONGER: _lengthen,
    SWAPPED: _swap,
    REPLACED: _replace,
    REWRITTEN: _rewrite,
}

_REGION = re.compile(
    r"(?:header|footer|end of archive|batch \d+|region \d+ of \d+) \(bytes (\d+)\.\.(\d+)\) is "
    r"damaged: "
    r"expected xxh3 ([0-9a-f]{16}), found ([0-9a-f]{16})"
)
_LENGTH = re.compile(r"(\d+ bytes long|longer than the \d+ bytes) ?,? ?expected")
_GONE = re.compile(r"cannot be opened \(No such file or directory\)|missing, expected \d+ bytes")
_SEAL = re.compile(r"manifest\.json: damaged, or not written by this project \(.+\); run `")
_UNFINISHED = re.compile(r": no manifest\.json: the build has not finished; run the same `")
_REMEDY = re.compile(r"run (?:`blankstream repair` on the data set|the same `blankstream build)")


def missing_in(message: str, target: str, fault: str, name: str, position: int) -> str:
    """What the message of an error should say of a fault of the file `name`, and does not."""
    if not _REMEDY.search(message):
        return "the command that mends"
    if target == MANIFEST:
        return _missing_of_manifest(message, fault)
    if name not in message:
        return f"the file {name}"
    if fault.startswith(BIT):
        found = _REGION.search(message)
        is_there = found is not None and int(found[1]) <= position < int(found[2])
        return "" if is_there and found and found[3] != found[4] else f"the region of {position}"
    forms = {DELETED: (_GONE,), CUT: (_LENGTH,), LONGER: (_LENGTH,), EMPTIED: (_LENGTH,)}
    wanted = forms.get(fault, (_LENGTH, _REGION))
    return "" if any(form.search(message) for form in wanted) else "what was expected and found"


def _missing_of_manifest(message: str, fault: str) -> str:
    """A manifest that is whole, but another one's, shows in the table that it names."""
    wanted = {DELETED: _UNFINISHED, REPLACED: _REGION, REWRITTEN: _REGION}.get(fault, _SEAL)
    return "" if wanted.search(message) else f"something like {wanted.pattern}"
