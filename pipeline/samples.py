"""windows -> samples of one work item: which objective a window gets, and what that makes of it.

Stands between `windows.py` and `packing.py`, joining `spans.py` and `assemble.py`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle

import xxhash

from pipeline.assemble import assemble, assemble_in_place
from pipeline.mixture import schedule, schedule_from
from pipeline.randomness import Draws, Stream
from pipeline.spans import draw_spans
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.objectives import IGNORE_INDEX, SpecialTokens
from schemas.samples import Sample, Window


def objective_cycle(shares: dict[str, float], item_id: str, split: str) -> Iterator[str]:
    """Objective of the item's windows of one split, in order, without end.

    The first one is drawn per item by the shares, so that items of a single window have the right
    shares together; from it on, every prefix is within one sample of the shares.
    """
    names = sorted(name for name, share in shares.items() if share > 0)
    weights = [shares[name] for name in names]
    period = schedule(weights)
    key = xxhash.xxh3_64_intdigest(f"{item_id}/{split}".encode())
    drawn = Draws(key, 0, Stream.FIRST_OBJECTIVE).below(len(period))
    for choice in cycle(schedule_from(weights, int(period[drawn])).tolist()):
        yield names[choice]


class SampleMaker:
    """Makes the samples of one split of one item, in order, and counts what it made.

    Counts go to `counts` as `<split>.<objective>.<what>`; tokens of part B include start tokens,
    masked tokens do not.
    """

    def __init__(
        self,
        config: BuildConfig,
        special: SpecialTokens,
        codes: dict[str, int],
        objectives: Iterator[str],
        counts: Counter[str],
    ) -> None:
        self._config, self._special, self._codes = config, special, codes
        self._objectives, self._counts = objectives, counts

    def make(self, window: Window, key: int, split: str) -> Sample:
        """The sample of `window`; `key` is the document's key (`randomness.document_key`)."""
        name = next(self._objectives)
        sample = corrupt(window, self._config.objective[name], key, self._config, self._special)
        self._count(f"{split}.{name}", window, sample)
        return replace(sample, objective=self._codes[name])

    def _count(self, prefix: str, window: Window, sample: Sample) -> None:
        part_b = len(sample.tokens) - sample.boundary
        num_spans = int((sample.block_positions == 1).sum())
        self._counts[f"{prefix}.samples"] += 1
        self._counts[f"{prefix}.spans"] += num_spans
        self._counts[f"{prefix}.window_tokens"] += len(window.tokens)
        self._counts[f"{prefix}.part_a_tokens"] += sample.boundary
        self._counts[f"{prefix}.part_b_tokens"] += part_b
        labels = int((sample.labels != IGNORE_INDEX).sum())
        self._counts[f"{prefix}.masked_tokens"] += labels - num_spans


def corrupt(
    window: Window,
    objective: ObjectiveConfig,
    key: int,
    config: BuildConfig,
    special: SpecialTokens,
) -> Sample:
    """One window under one objective: a pure function, so that any sample can be made again."""
    spans = draw_spans(window, objective, key, config.shuffle_spans)
    mask = special.mask_id(objective.mask)
    if objective.kind == "masked_lm":
        sample = assemble_in_place(window.tokens, spans, mask)
    else:
        sample = assemble(window.tokens, spans, mask, special.start, special.end)
    return replace(sample, window=window.number, start=window.start, stop=window.stop)
