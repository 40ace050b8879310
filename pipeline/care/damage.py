"""What is wrong with files of a data set: found by checks, told to people, mended by a repair.

Stands below `item_check.py` and the commands `verify` and `repair`.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from pipeline.stores.store import Store
from pipeline.table import REBUILD_REMEDY
from schemas.errors import CorruptDataError, DatasetError, UnreadableError
from schemas.manifest import StoredFile
from schemas.written import S, as_written

T = TypeVar("T")


class Damage(NamedTuple):
    """`name` is the file in the data set, `text` a message: place, expected, found, remedy."""

    name: str
    text: str


class DamageList:
    """Damage as it is found, in files of `store`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.found: list[Damage] = []

    def add(self, name: str, what: str, remedy: str = REBUILD_REMEDY) -> None:
        """`what` says what was expected and what was found."""
        self.found.append(Damage(name, f"{self.store.where(name)}: {what}; {remedy}"))

    def read(self, stored: StoredFile, read: Callable[[Path], T]) -> T | None:
        """What `read` makes of a file; None where it is missing or damaged, which is noted."""
        name = stored.path
        try:
            with self.store.local(name) as path:
                try:
                    return read(path)
                except UnreadableError:
                    raise
                except (CorruptDataError, DatasetError) as error:
                    told = str(error).removeprefix(f"{path}: ")
                    self.found.append(Damage(name, f"{self.store.where(name)}: {told}"))
        except FileNotFoundError:
            self.add(name, f"missing, expected {stored.hashes.bytes} bytes")
        except UnreadableError:
            raise
        except DatasetError as error:  # a name that leads out of the data set
            self.found.append(Damage(name, str(error)))
        return None

    def read_sealed(self, name: str, parse: Callable[[str, str], S]) -> S | None:
        """A sealed file; None, which is noted, unless its bytes are what was written."""
        try:
            return as_written(self.store.read(name), name, parse, REBUILD_REMEDY)
        except FileNotFoundError:
            self.add(name, "missing, expected a sealed JSON file")
        except DatasetError as error:
            self.add(name, str(error).removeprefix(f"{name}: ").rpartition("; ")[0])
        return None


def check_sha256(path: Path, expected: str) -> None:
    """Raise `CorruptDataError` for a file of other bytes."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise CorruptDataError(
            f"{path}: expected SHA-256 {expected}, found {found}; {REBUILD_REMEDY}"
        )
