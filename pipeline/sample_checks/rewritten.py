"""Windows and spans -> their samples once more, compared with those on disk number for number.

Stands at the end of `sample_laws.py`. With the documents' keys the samples must be equal. Without
them what was drawn may be anything that could have been drawn, and all else must be equal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.assemble import Rules
from pipeline.laws.drawn import Bools
from pipeline.objectives import BLANKS, IN_PLACE, OBJECTIVES
from pipeline.randomness import threshold
from pipeline.sample_checks.row_laws import Samples
from pipeline.sample_checks.window_laws import Finding, ordinary_tokens, stray_of_each
from pipeline.window_batch import (
    Engine,
    Ints,
    Placement,
    Rows,
    SpanBatch,
    WindowBatch,
    edges_of,
    ranges,
)
from schemas.samples import RowFormat


@dataclass(frozen=True)
class Rewriter:
    """Writes samples again by the `rules` of the recipe's objectives; `is_exact` where windows have
    the keys that they were drawn with."""

    engine: Engine
    rules: Sequence[Rules]
    row_format: RowFormat
    is_exact: bool

    def compare(
        self, rows: NDArray[Any], samples: Samples, windows: WindowBatch, spans: SpanBatch
    ) -> Iterator[Finding]:
        """Boundaries and columns of `samples`, all of one objective, in `rows` (n, width)."""
        if not len(samples):
            return
        written = self._write(samples, windows, spans)
        place = self.row_format.slices["boundaries"].start + samples.places
        boundaries = written[samples.rows - samples.rows[0], place]
        yield (
            boundaries == samples.boundaries,
            lambda i: f"boundary: expected {boundaries[i]}, found {samples.boundaries[i]}",
        )
        drawn = _Drawn(self.rules[samples.objectives[0]], samples, windows, spans)
        flat = ranges(samples.rows * self.row_format.width + samples.firsts, samples.lengths)
        for name in ("tokens", "labels", "positions", "block_positions"):
            at = flat + self.row_format.slices[name].start
            found = rows.reshape(-1)[at].astype(np.int64)
            at -= samples.rows[0] * self.row_format.width
            expected = written.reshape(-1)[at].astype(np.int64)
            if not self.is_exact and name == "tokens":
                expected = drawn.tokens(expected, found)
            elif not self.is_exact and name == "positions":
                expected = drawn.positions(expected, found)
            yield unequal(name, edges_of(samples.lengths), expected, found)

    def _write(self, samples: Samples, windows: WindowBatch, spans: SpanBatch) -> NDArray[Any]:
        """Rows (k, width) from the first sample's row on; what belongs to no sample is not set."""
        rules = self.rules if self.is_exact else [undrawn(one) for one in self.rules]
        first, last = int(samples.rows[0]), int(samples.rows[-1])
        shape = last - first + 1, self.row_format.width
        rows = Rows(np.empty(shape, self.row_format.dtype), self.row_format)
        placement = Placement(samples.rows - first, samples.firsts, samples.places)
        self.engine.write(windows, spans, rules, placement, rows)
        return rows.values


def undrawn(rules: Rules) -> Rules:
    """`rules` without what is drawn after the spans: what is certain stays, what is not is left
    out; spans in place become masks where they may."""
    asked = rules.objective
    objective = replace(
        asked,
        noise_ratio=float(asked.noise_ratio >= 1),
        random_positions=False,
        replace_ratio=float(asked.replace_ratio > 0),
        random_ratio=0.0,
    )
    return replace(rules, objective=objective)


@dataclass(frozen=True)
class _Drawn:
    """What could have been drawn in `samples`; columns are (t,), sample after sample."""

    rules: Rules
    samples: Samples
    windows: WindowBatch
    spans: SpanBatch

    def tokens(self, expected: Ints, found: Ints) -> Ints:
        """`expected` of `undrawn`, but what was found where it could have been drawn."""
        form = OBJECTIVES[self.rules.objective.kind].form
        if form is BLANKS and 0 < self.rules.objective.noise_ratio < 1:
            may_differ = self._is_part_b() & ordinary_tokens(self.rules)[expected]
            may_differ &= found == self.rules.special.noise
            return np.where(may_differ, found, expected)
        if form is IN_PLACE:
            return np.where(self._is_replaced(found), found, expected)
        return expected

    def positions(self, expected: Ints, found: Ints) -> Ints:
        """`expected` moved by the first token's offset, as far as one could have been drawn."""
        rules, form = self.rules, OBJECTIVES[self.rules.objective.kind].form
        if not rules.objective.random_positions:
            return expected
        is_constant = form.has_sentinels or (rules.sentinels and form.can_have_sentinels)
        moves = ~(self._is_part_b() & is_constant)
        lengths, firsts = self.samples.lengths, edges_of(self.samples.lengths)[:-1]
        most = rules.window_tokens - 1 - np.maximum.reduceat(expected * moves, firsts)
        offsets = np.clip(found[firsts] - expected[firsts], 0, most)
        return np.asarray(expected + np.repeat(offsets, lengths) * moves)

    def _is_part_b(self) -> Bools:
        """(t,) True in part B."""
        places = ranges(np.zeros_like(self.samples.lengths), self.samples.lengths)
        return np.asarray(places >= np.repeat(self.samples.boundaries, self.samples.lengths))

    def _is_replaced(self, found: Ints) -> Bools:
        """(t,) True in spans that as a whole are masks, ordinary tokens or as they were, where the
        ratios allow it."""
        rules, spans, sizes = self.rules, self.spans, self.windows.sizes
        masked, randomised = map(
            threshold, (rules.objective.replace_ratio, rules.objective.random_ratio)
        )
        lengths, before = spans.stops - spans.starts, edges_of(sizes)[:-1]
        inside = ranges(spans.starts + np.repeat(before, spans.counts), lengths)
        text = self.windows.tokens[ranges(self.windows.offsets - int(self.windows.cls), sizes)]
        choices = (
            (found[inside] == rules.mask) & (masked > 0),
            ordinary_tokens(rules)[found[inside]] & (randomised > 0),
            (found[inside] == text[inside]) & (masked + randomised < 1 << 32),
        )
        owners = np.repeat(np.arange(len(lengths)), lengths)
        counts = [np.bincount(owners[choice], minlength=len(lengths)) for choice in choices]
        is_replaced = np.zeros(len(found), bool)
        is_replaced[inside] = np.repeat(np.max(counts, axis=0) == lengths, lengths)
        return is_replaced


def unequal(name: str, edges: Ints, expected: Ints, found: Ints) -> Finding:
    """Which samples are as expected, and the first number that is not in each of the others."""
    strays = stray_of_each(expected != found, edges)
    return (
        strays < 0,
        lambda i: (
            f"{name}, place {strays[i] - edges[i]} of the sample: expected {expected[strays[i]]}, "
            f"found {found[strays[i]]}"
        ),
    )
