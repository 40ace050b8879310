"""Which objective each turn of a work item belongs to.

Used by `windows.py`. By samples, turns follow a schedule whose every prefix is within one sample of
the shares; by tokens, a turn goes to the objective that is furthest behind its share of the tokens.
"""

from collections.abc import Iterator
from itertools import cycle

import xxhash

from pipeline.mixture import period_counts, schedule, schedule_from
from pipeline.randomness import Draws, Stream
from schemas.build_config import BuildConfig

INSTRUCTION = "instruction"
"""Kind of the objective that documents with a prompt and a completion have, and no others."""


def mixed_objectives(config: BuildConfig) -> list[int]:
    """Indices, by name, of the objectives that turns are mixed of."""
    return [
        index
        for index, name in enumerate(sorted(config.objective))
        if config.objective[name].share > 0 and config.objective[name].kind != INSTRUCTION
    ]


class ObjectiveMix:
    """The objectives of the turns of one split of one item, in order, without end.

    The first one is drawn per item by the shares, so that items of a single turn have the right
    shares together. Objectives are indices into the recipe's objectives by name.
    """

    def __init__(self, config: BuildConfig, item_id: str, split: str) -> None:
        objectives = [config.objective[name] for name in sorted(config.objective)]
        self._mixed = mixed_objectives(config)
        self.instruction = next(
            (i for i, one in enumerate(objectives) if one.kind == INSTRUCTION), None
        )
        self.samples_per_window = [one.samples_per_window for one in objectives]
        """Windows in a full turn, by objective."""
        self.most_samples = max(self.samples_per_window[index] for index in self._mixed)
        weights = [objectives[index].share for index in self._mixed]
        period = schedule(weights)
        key = xxhash.xxh3_64_intdigest(f"{item_id}/{split}".encode())
        drawn = Draws(key, 0, Stream.FIRST_OBJECTIVE).below(len(period))
        self._first: int | None = int(period[drawn])
        self._by_samples: Iterator[int] | None = None
        if config.mix_by == "samples":
            self._by_samples = cycle(schedule_from(weights, self._first).tolist())
        self._counts = period_counts(weights)
        self._spent = [0] * len(weights)

    def next(self) -> int:
        """The objective of the next turn."""
        if self._by_samples is not None:
            return self._mixed[next(self._by_samples)]
        choice, self._first = self._first, None
        if choice is None:
            choice = self._furthest_behind()
        return self._mixed[choice]

    def spend(self, objective: int, tokens: int) -> None:
        """Count the tokens of one window of `objective`."""
        if objective != self.instruction:
            self._spent[self._mixed.index(objective)] += tokens

    def _furthest_behind(self) -> int:
        """Largest deficit share x all - spent, in exact integers; ties go to the first name."""
        total, period = sum(self._spent), sum(self._counts)
        deficits = [
            count * total - spent * period
            for count, spent in zip(self._counts, self._spent, strict=True)
        ]
        return deficits.index(max(deficits))
