"""What could not be used, as lines of JSON: where it was, why, and how it begins.

Written beside the shards of an item by its first pass; `finish.py` quotes the first cases.
"""

import json
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Self, TextIO

from pipeline.readers.reads import SHOWN_CASES, BadInput
from schemas.plan import WorkItem
from schemas.storage import committed


def quarantine_path(dataset: Path, slice_number: int) -> Path:
    """Where the quarantine of a slice is."""
    return dataset / "quarantine" / f"{slice_number:05d}.jsonl"


class Quarantine:
    """Counts bad input and keeps it in a file, which appears when the context ends well.

    There is no file without bad input, and none in later passes, which read the same input again.
    """

    def __init__(self, dataset: Path, item: WorkItem) -> None:
        self._path = quarantine_path(dataset, item.slice.number)
        self._is_kept = item.pass_number == 0
        self._stack = ExitStack()
        self._file: TextIO | None = None
        self.count = 0
        self.first: list[BadInput] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, bad: BadInput) -> None:
        """Keep one case."""
        self.count += 1
        if self.count <= SHOWN_CASES:
            self.first.append(bad)
        if not self._is_kept:
            return
        if self._file is None:
            temporary = self._stack.enter_context(committed(self._path))
            stream = temporary.open("w", encoding="utf-8", newline="\n")
            self._file = self._stack.enter_context(stream)
        self._file.write(json.dumps(asdict(bad), ensure_ascii=False) + "\n")

    def finish(self) -> None:
        """Put the file in its place."""
        self._stack.close()


def first_cases(dataset: Path) -> list[BadInput]:
    """The first cases of all quarantine files, in the order of the slices."""
    lines = (
        line
        for path in sorted((dataset / "quarantine").glob("*.jsonl"))
        for line in path.read_bytes().split(b"\n")
        if line
    )
    return [BadInput(**json.loads(line)) for line in islice(lines, SHOWN_CASES)]
