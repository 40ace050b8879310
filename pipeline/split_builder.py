"""token batches -> shards of one split of one work item: windows, spans, samples, rows, counts.

Stands between `text.py` and the record; `build.py` has one for each split.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from pipeline.laws.statistics import SplitStatistics
from pipeline.mixing import ObjectiveMix
from pipeline.randomness import document_key
from pipeline.rows import SplitWriter
from pipeline.stopwatch import Stopwatch
from pipeline.stores.store import Store
from pipeline.text import TokenBatch
from pipeline.tools import Tools
from pipeline.windows import WindowCutter
from schemas.plan import WorkItem
from schemas.record import ObjectiveStatistics, ShardFile


class SplitBuilder:
    """Builds one split (`names` = item, split) of an item in `store`.

    Counts go to `counts` as `<split>.<what>` and `<split>.<objective>.<what>`.
    """

    def __init__(
        self,
        store: Store,
        names: tuple[WorkItem, str],
        tools: Tools,
        counts: Counter[str],
        stack: ExitStack,
    ) -> None:
        (self._item, self._split), self._tools, self._counts = names, tools, counts
        seed = tools.config.seed
        mix = ObjectiveMix(tools.config, f"{seed}/{self._item.input_key}", self._split)
        self._cutter = WindowCutter(tools.config, mix, counts, self._split)
        self._writer = SplitWriter(store, names, tools, stack)
        objectives = tools.row_format.objectives
        self._statistics = SplitStatistics(self._split, tools.rules, objectives, counts)

    def add(
        self,
        batch: TokenBatch,
        chosen: Sequence[int],
        numbers: Sequence[int],
        watch: Stopwatch,
    ) -> None:
        """Add the documents `chosen` of `batch`, which the item's table calls `numbers`."""
        if not chosen:
            return
        config = self._tools.config
        keys = [
            document_key(config.seed, self._item.pass_number, batch.documents[index].id)
            for index in chosen
        ]
        tokens = np.diff(batch.edges)[list(chosen)]
        self._counts[f"{self._split}.documents"] += len(chosen)
        self._counts[f"{self._split}.document_tokens"] += int(tokens.sum())
        with watch.stage("samples"):
            windows = self._cutter.cut(batch, chosen, numbers, keys)
            spans = self._tools.engine.draw(windows, self._tools.rules, config.shuffle_spans)
            sizes = self._statistics.add(windows, spans)
        with watch.stage("rows"):
            self._writer.add(windows, spans, sizes)

    def finish(self) -> int:
        """Write what is still open; returns the rows of the split."""
        self._writer.finish()
        return self._writer.num_rows

    @property
    def shards(self) -> list[ShardFile]:
        """The finished shards."""
        return self._writer.shards

    @property
    def statistics(self) -> dict[str, ObjectiveStatistics]:
        """Objective -> what was found in its windows."""
        return self._statistics.to_record()
