"""What could not be used, as lines of JSON: where it was, why, and how it begins.

Written beside the shards of an item by its first pass; `finish.py` quotes the first cases.
"""

import hashlib
import json
from contextlib import ExitStack
from dataclasses import asdict
from typing import TextIO

import xxhash

from pipeline.readers.reads import SHOWN_CASES, BadInput
from pipeline.stores.store import Draft, Store
from schemas.manifest import FileHashes, StoredFile
from schemas.names import quarantine_name
from schemas.plan import WorkItem


class Quarantine:
    """Counts bad input and keeps it in a file; `stack` removes what is not finished.

    There is no file without bad input, and none in later passes, which read the same input again.
    """

    def __init__(self, store: Store, item: WorkItem, stack: ExitStack) -> None:
        self._store, self._item, self._stack = store, item, stack
        self._draft: Draft | None = None
        self._file: TextIO | None = None
        self._sha256, self._xxh3, self._bytes = hashlib.sha256(), xxhash.xxh3_64(), 0
        self.count = 0
        self.first: list[BadInput] = []

    def add(self, bad: BadInput) -> None:
        """Keep one case."""
        self.count += 1
        if self.count <= SHOWN_CASES:
            self.first.append(bad)
        if self._item.pass_number:
            return
        if self._file is None:
            folder = quarantine_name(self._item, "").rpartition("/")[0]
            self._draft = self._stack.enter_context(self._store.draft(folder))
            stream = self._draft.path.open("w", encoding="utf-8", newline="\n")
            self._file = self._stack.enter_context(stream)
        line = json.dumps(asdict(bad), ensure_ascii=False) + "\n"
        self._file.write(line)
        self._sha256.update(line.encode())
        self._xxh3.update(line.encode())
        self._bytes += len(line.encode())

    def finish(self) -> StoredFile | None:
        """Put the file in its place; None where there is nothing bad."""
        if self._file is None or self._draft is None:
            return None
        self._file.close()
        sha256 = self._sha256.hexdigest()
        name = quarantine_name(self._item, sha256)
        self._draft.commit(name)
        hashes = FileHashes(self._bytes, sha256, (0, self._bytes), (self._xxh3.intdigest(),))
        return StoredFile(name, hashes)


def first_cases(store: Store, stored: StoredFile) -> list[BadInput]:
    """The first cases of a quarantine file."""
    lines = store.read(stored.path).split(b"\n")[:SHOWN_CASES]
    return [BadInput(**json.loads(line)) for line in lines if line]
