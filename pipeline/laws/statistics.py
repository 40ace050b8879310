"""Windows and spans -> counts, histograms and tallies of one split of one work item.

Collected by `split_builder.py` while the item is built and kept in its record, as integers alone:
sums over items do not depend on their order. docs/statistics.md says what each number is.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from pipeline.assemble import Rules, assemble_in_place
from pipeline.engines.batched_draws import bits32_at, frames_of
from pipeline.laws.drawn import Drawn
from pipeline.laws.lengths import length_bins
from pipeline.objectives import OBJECTIVES
from pipeline.randomness import Stream, threshold
from pipeline.window_batch import Ints, SpanBatch, WindowBatch
from schemas.record import Histograms, ObjectiveStatistics, TallySums

COVERAGE_BINS = 20
"""Parts of 5 % each; a window that is hidden as a whole is in the last one."""

Marks = Callable[[Ints, Ints], tuple[Ints, Ints]]

_MARKS: dict[str, Marks] = {
    "blanks": lambda spans, hidden: (spans, hidden + spans),
    "prefix": lambda spans, hidden: (spans, hidden),
    "next_token": lambda spans, hidden: (0 * spans, hidden),
    "prefix_lm": lambda spans, hidden: (0 * spans, hidden),
    "sentinels": lambda spans, hidden: (2 * spans, hidden + spans + 1),
}
"""Form -> (mask tokens, labels) of samples with so many spans and hidden tokens."""


class SplitStatistics:
    """Statistics of one split, by objective; `rules` and `names` are those of the recipe.

    Sums go to `counts` as `<split>.<objective>.<what>`; tokens of part B include start tokens,
    masked tokens do not.
    """

    def __init__(
        self, split: str, rules: Sequence[Rules], names: Sequence[str], counts: Counter[str]
    ) -> None:
        self._split, self._rules, self._names, self._counts = split, rules, names, counts
        self._found: defaultdict[str, list[ObjectiveStatistics]] = defaultdict(list)

    def add(self, windows: WindowBatch, spans: SpanBatch) -> Ints:
        """Count the samples of `windows`; returns their sizes (w,) in tokens.

        Raises `AssertionError` naming the objective where spans break a rule of their law.
        """
        sizes = np.zeros(len(windows), np.int64)
        for index, rules in enumerate(self._rules):
            own = np.flatnonzero(windows.objectives == index)
            if not len(own):
                continue
            drawn = Drawn.of(windows, spans, own)
            sizes[own] = self._add(self._names[index], drawn, rules)
        return sizes

    def to_record(self) -> dict[str, ObjectiveStatistics]:
        """Objective -> what was found, for objectives with samples."""
        return {name: total(parts) for name, parts in sorted(self._found.items())}

    def _add(self, name: str, drawn: Drawn, rules: Rules) -> Ints:
        _check_rules(name, drawn, rules)
        form = OBJECTIVES[rules.objective.kind].form
        sizes = form.size(drawn.sizes, drawn.counts)
        part_b = form.part_b(drawn.sizes, drawn.counts, drawn.hidden)
        masks, labels = _marks(drawn, rules)
        for what, number in (
            ("samples", len(drawn)),
            ("spans", drawn.counts.sum()),
            ("window_tokens", drawn.sizes.sum()),
            ("part_a_tokens", (sizes - part_b).sum()),
            ("part_b_tokens", part_b.sum()),
            ("masked_tokens", drawn.hidden.sum()),
            ("mask_tokens", masks),
            ("label_tokens", labels),
        ):
            self._counts[f"{self._split}.{name}.{what}"] += int(number)
        self._found[name].append(describe(drawn, rules))
        return np.asarray(sizes)


def describe(drawn: Drawn, rules: Rules) -> ObjectiveStatistics:
    """Histograms of windows and of short windows, and the law's tallies."""
    law = OBJECTIVES[rules.objective.kind].law
    tallies = {}
    for name, count in law.tallies.items() if law else ():
        tally = count(drawn, rules.objective)
        if tally is not None:
            observed, expected = _trimmed(tally.observed, tally.expected)
            tallies[name] = TallySums(tally.windows, observed, expected)
    is_short = drawn.is_short
    return ObjectiveStatistics(_histograms(drawn, ~is_short), _histograms(drawn, is_short), tallies)


def total(parts: Sequence[Any]) -> Any:
    """Sum of statistics of the same shape, member by member; shorter tuples end in zeros."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, int):
        return sum(parts)
    if isinstance(first, tuple):
        return tuple(map(sum, zip_longest(*parts, fillvalue=0)))
    if isinstance(first, dict):
        names = sorted({name for part in parts for name in part})
        return {name: total([part[name] for part in parts if name in part]) for name in names}
    names = [member.name for member in fields(first)]
    return replace(
        first, **{name: total([getattr(part, name) for part in parts]) for name in names}
    )


def _histograms(drawn: Drawn, chosen: Any) -> Histograms:
    lengths = drawn.lengths[chosen[drawn.owners]]
    coverage = drawn.hidden[chosen] * COVERAGE_BINS // drawn.sizes[chosen]
    columns = (
        np.bincount(length_bins(lengths)),
        np.bincount(length_bins(drawn.counts[chosen])),
        np.bincount(np.minimum(coverage, COVERAGE_BINS - 1), minlength=COVERAGE_BINS),
    )
    return Histograms(int(chosen.sum()), *(tuple(column.tolist()) for column in columns))


def _trimmed(observed: Ints, expected: Ints) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Both without the bins at the end in which nothing is expected or observed."""
    used = np.flatnonzero(observed | expected)
    stop = int(used[-1]) + 1 if len(used) else 0
    return tuple(observed[:stop].tolist()), tuple(expected[:stop].tolist())


def _marks(drawn: Drawn, rules: Rules) -> tuple[int, int]:
    """(mask tokens, labels) of all samples together; a form that is not known gives none."""
    form = OBJECTIVES[rules.objective.kind].form
    if form.assemble is assemble_in_place:
        return _replaced(drawn, rules), int(drawn.hidden.sum())
    marks = _MARKS.get(form.name)
    if marks is None:
        return 0, 0
    masks, labels = marks(drawn.counts, drawn.hidden)
    return int(masks.sum()), int(labels.sum())


def _replaced(drawn: Drawn, rules: Rules) -> int:
    """Tokens that became masks in place: the draws of `assemble_in_place` once more."""
    states = frames_of(drawn.windows).states(Stream.REPLACE)[drawn.owners]
    is_masked = bits32_at(states, drawn.numbers) < threshold(rules.objective.replace_ratio)
    return int(drawn.lengths[is_masked].sum())


def _check_rules(name: str, drawn: Drawn, rules: Rules) -> None:
    law = OBJECTIVES[rules.objective.kind].law
    keeps = drawn.is_sound()
    if law is not None and keeps.all():
        keeps = law.holds(drawn, rules.objective)
    if keeps.all():
        return
    index = int(np.argmin(keeps))
    inside = slice(int(drawn.edges[index]), int(drawn.edges[index + 1]))
    spans = list(zip(drawn.starts[inside].tolist(), drawn.stops[inside].tolist(), strict=True))
    windows = drawn.windows
    raise AssertionError(
        f"objective {name!r} ({rules.objective.kind}): the spans of {int((~keeps).sum())} windows "
        f"break its rule; the first is window {windows.numbers[index]} of document "
        f"{windows.documents[index]}, {drawn.sizes[index]} tokens with spans {spans}"
    )
