"""Which objective each turn of a work item belongs to.

Used by `windows.py`. By samples, turns follow a schedule whose every prefix is within one sample of
the shares; by tokens, every prefix is within one window's tokens of them.
"""

from collections.abc import Iterator
from fractions import Fraction
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
    shares together; `item_key` names the item, its seed and pass. Objectives are indices into the
    recipe's objectives by name.
    """

    def __init__(self, config: BuildConfig, item_key: str, split: str) -> None:
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
        key = xxhash.xxh3_64_intdigest(f"{item_key}/{split}".encode())
        drawn = Draws(key, 0, Stream.FIRST_OBJECTIVE).below(len(period))
        self._first: int | None = int(period[drawn])
        self._by_samples: Iterator[int] | None = None
        if config.mix_by == "samples":
            self._by_samples = cycle(schedule_from(weights, self._first).tolist())
        self._counts = period_counts(weights)
        self._spent = [0] * len(weights)
        self._window = config.window_tokens

    def next(self) -> int:
        """The objective of the next turn."""
        if self._by_samples is not None:
            return self._mixed[next(self._by_samples)]
        choice, self._first = self._first, None
        if choice is None:
            choice = self._most_urgent()
        return self._mixed[choice]

    def spend(self, objective: int, tokens: int) -> None:
        """Count the tokens of one window of `objective`."""
        if objective != self.instruction:
            self._spent[self._mixed.index(objective)] += tokens

    def _most_urgent(self) -> int:
        """Of the objectives not ahead of their share, the first that would fall a window behind.

        The rule of `mixture.schedule` with tokens for steps, in exact integers: an objective is
        eligible while spent <= share x all, and its deadline is (spent + window) / share.
        """
        total, period = sum(self._spent), sum(self._counts)
        return min(
            (
                index
                for index, (spent, count) in enumerate(zip(self._spent, self._counts, strict=True))
                if spent * period <= count * total
            ),
            key=lambda index: Fraction(self._spent[index] + self._window, self._counts[index]),
        )
