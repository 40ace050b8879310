"""Windows and spans -> counts, histograms and tallies of one split of one work item.

Collected by `split_builder.py` while the item is built and kept in its record, as integers alone:
sums over items do not depend on their order. docs/statistics.md says what each number is.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from pipeline.assemble import Rules
from pipeline.laws.drawn import Drawn
from pipeline.laws.lengths import length_bins
from pipeline.objectives import OBJECTIVES
from pipeline.window_batch import Ints, SpanBatch, WindowBatch
from schemas.record import Histograms, ObjectiveStatistics, TallySums

COVERAGE_BINS = 20
"""Parts of 5 % each; a window that is hidden as a whole is in the last one."""


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
            drawn = Drawn.in_text_order(windows.part(own), spans.part(own))
            sizes[own] = self._add(self._names[index], drawn, rules)
        return sizes

    def to_record(self) -> dict[str, ObjectiveStatistics]:
        """Objective -> what was found, for objectives with samples."""
        return {name: total(parts) for name, parts in sorted(self._found.items())}

    def _add(self, name: str, drawn: Drawn, rules: Rules) -> Ints:
        _check_rules(name, drawn, rules)
        form = OBJECTIVES[rules.objective.kind].form
        sizes = form.size(drawn.windows.sizes, drawn.counts)
        part_b = form.part_b(drawn.windows.sizes, drawn.counts, drawn.hidden)
        labels = form.labels(drawn.counts, drawn.hidden)
        for what, number in (
            ("samples", len(drawn)),
            ("spans", drawn.counts.sum()),
            ("window_tokens", drawn.windows.sizes.sum()),
            ("part_a_tokens", (sizes - part_b).sum()),
            ("part_b_tokens", part_b.sum()),
            ("masked_tokens", drawn.hidden.sum()),
            ("mask_tokens", form.masks(drawn, rules)),
            ("label_tokens", labels.sum()),
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
    coverage = drawn.hidden[chosen] * COVERAGE_BINS // drawn.windows.sizes[chosen]
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


def _check_rules(name: str, drawn: Drawn, rules: Rules) -> None:
    line = OBJECTIVES[rules.objective.kind]
    law, keeps = line.law, drawn.is_sound(line.form.hides_eos)
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
        f"{windows.documents[index]}, {drawn.windows.sizes[index]} tokens with spans {spans}"
    )
