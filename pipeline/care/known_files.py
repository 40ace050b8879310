"""Files of a data set that belong to nothing: found by what is left over when all else is known."""

from collections.abc import Iterable

import xxhash

from pipeline.stores.names import is_temporary
from pipeline.stores.store import Store
from schemas.names import CARD_NAME, CONFIG_NAME, STATUS_NAME, SUMMARY_NAME, TAR_INDEX_NAME

_PAGES = (CARD_NAME, CONFIG_NAME, STATUS_NAME, SUMMARY_NAME, TAR_INDEX_NAME)
_REMEMBERED = 1_000_000
_SHOWN = 3


class KnownFiles:
    """Names of files that belong to a data set, each added once; the first million are remembered
    by their hashes, so that what is left over can be named."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._count = 0

    def add(self, names: Iterable[str]) -> None:
        """Files that are there."""
        for name in names:
            self._count += 1
            if len(self._hashes) < _REMEMBERED:
                self._hashes.add(xxhash.xxh3_64_intdigest(name.encode()))

    @property
    def _has_all(self) -> bool:
        return self._count <= _REMEMBERED

    def notes(self, store: Store) -> list[str]:
        """A line on what belongs to nothing, and one on what was left half-written; empty where
        there is neither."""
        self.add(name for name in _PAGES if store.size(name) is not None)
        drafts, files = 0, 0
        strangers: list[str] = []
        for name, _ in store.every_file():
            is_draft = is_temporary(name)
            drafts, files = drafts + is_draft, files + (not is_draft)
            is_known = is_draft or xxhash.xxh3_64_intdigest(name.encode()) in self._hashes
            if not is_known and len(strangers) < _SHOWN:
                strangers.append(name)
        notes = []
        if extra := files - self._count:
            more = ["..."] if extra > _SHOWN else []
            named = f" ({', '.join(sorted(strangers) + more)})" if self._has_all else ""
            notes.append(
                f"{extra} files belong to no item of the data set{named}; nothing reads them"
            )
        if drafts:
            notes.append(f"{drafts} files were left half-written by builds that were ended")
        return notes
