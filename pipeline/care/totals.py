"""Sums over checked items, held against the manifest.

The manifest's counts, statistics and rows follow from the records and the documents of all items
(`survey.py`, `finish.py`); here they are added up once more, in any order.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

from pipeline.care.item_check import ItemCheck
from pipeline.laws.gate import manifest_statistics
from pipeline.laws.statistics import total
from pipeline.unique import HashSpill
from schemas.build_config import BuildConfig
from schemas.config import differing_keys, parse_config
from schemas.manifest import SPLITS, Manifest
from schemas.plan import Plan, WorkItem
from schemas.record import Statistics

_SHOWN = 5


class Totals:
    """What all items come to; a context manager that holds temporary files.

    `is_whole` stays true while every item could be counted.
    """

    def __init__(self) -> None:
        self.items = self.shards = self.rows = self.bytes = self.samples = self.files = 0
        self.is_whole = True
        self._counts: Counter[str] = Counter()
        self._statistics: Statistics = {}
        self._ids, self._texts = HashSpill(), HashSpill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for spill in (self._ids, self._texts):
            spill.__exit__(None, None, None)

    def add(self, item: WorkItem, found: ItemCheck) -> None:
        """Count an item; its documents and bad input in the first pass, where all are read."""
        self.items += 1
        for name in ("shards", "rows", "bytes", "samples"):
            setattr(self, name, getattr(self, name) + getattr(found, name))
        if found.counts is None or found.ids is None or found.texts is None:
            self.is_whole = False
            return
        for name, count in found.counts.items():
            once = name.startswith(("documents", "bad."))
            self._counts[name] += 0 if once and item.pass_number else count
        parts = [found.statistics]
        self._statistics = total([self._statistics, *parts] if self._statistics else parts)
        if item.pass_number == 0:
            self._ids.add(found.ids)
            self._texts.add(found.texts)

    def differences(self, manifest: Manifest, plan: Plan) -> Iterator[str]:
        """What the manifest says otherwise, and ids that occur twice."""
        if num_repeats := self._ids.num_repeats():
            yield f"expected every document id once, found {num_repeats} repeated"
        config = parse_config(BuildConfig, plan.recipe["build"], "recipe")
        counts = dict(self._counts) | {"documents.identical": self._texts.num_repeats()}
        rows = {split: counts.get(f"{split}.rows", 0) for split in SPLITS}
        statistics = manifest_statistics(counts, self._statistics, config, rows)
        expected = _plain({"counts": counts, "rows": rows, "statistics": statistics})
        said = {name: getattr(manifest, name) for name in expected}
        differing = differing_keys(said, expected)
        for line in differing[:_SHOWN]:
            yield f"does not add up (found -> expected by the records): {line}"
        if len(differing) > _SHOWN:
            yield f"differs from its records in {len(differing) - _SHOWN} more keys"


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain
