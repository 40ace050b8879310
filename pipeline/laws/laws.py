"""The declared law of each way of drawing spans, as tallies whose expectation is known exactly.

`objectives.py` names a law for each kind, `statistics.py` tallies while an item is built and
`goodness_of_fit.py` compares what was observed with what was expected. Everything is an integer, in
units of 2**-32 of an observation, so that sums do not depend on their order. docs/statistics.md
derives each expectation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pipeline.laws import rules as law_rules
from pipeline.laws.drawn import Bools, Drawn
from pipeline.laws.lengths import (
    LENGTH_BINS,
    UNIT,
    bin_probabilities,
    is_unconditional,
    law_of,
    length_bins,
)
from pipeline.randomness import length_thresholds, threshold
from pipeline.window_batch import Ints
from schemas.build_config import ObjectiveConfig

PARTS = 16
"""Equal parts that a uniform law's range is cut into."""


class Tally(NamedTuple):
    """What `windows` windows gave: units observed and expected in each bin, int64."""

    windows: int
    observed: Ints
    expected: Ints


@dataclass(frozen=True)
class Law:
    """What a way of drawing promises: `holds` in every window, (w,) booleans, and `tallies` in the
    mean over windows that are not short, by name. A tally is None where nothing is drawn.
    """

    holds: Callable[[Drawn, ObjectiveConfig], Bools]
    tallies: Mapping[str, Callable[[Drawn, ObjectiveConfig], Tally | None]] = field(
        default_factory=dict
    )


def span_lengths(drawn: Drawn, objective: ObjectiveConfig) -> Tally:
    """Lengths follow `length_thresholds` in windows where shortening is no matter.

    By Wald's identity the stopping rule leaves the expected number of each length at the number of
    spans times its probability.
    """
    chosen = is_unconditional(drawn, objective)
    lengths = drawn.lengths[chosen[drawn.owners]]
    observed = np.bincount(length_bins(lengths), minlength=len(LENGTH_BINS)) * UNIT
    return Tally(int(chosen.sum()), observed, len(lengths) * bin_probabilities(*law_of(objective)))


def single_spans(drawn: Drawn, objective: ObjectiveConfig) -> Tally | None:
    """Windows with one span: drawn so, or because the first length covered the target."""
    if not objective.single_span_ratio:
        return None
    chosen = is_unconditional(drawn, objective)
    below = np.array([0, *length_thresholds(*law_of(objective))], np.int64)
    targets = drawn.windows.targets(objective.mask_ratio)[chosen]
    enough = UNIT - below[np.minimum(targets - 1, len(below) - 1)]
    single = threshold(objective.single_span_ratio)
    one = single + ((UNIT - single >> 4) * (enough >> 4) >> 24)
    expected = int(one.sum())
    observed = int((drawn.counts[chosen] == 1).sum())
    total = len(targets)
    columns = ((observed * UNIT, (total - observed) * UNIT), (expected, total * UNIT - expected))
    return Tally(total, *(np.array(column, np.int64) for column in columns))


def short_span_places(drawn: Drawn, objective: ObjectiveConfig) -> Tally:
    """Given their lengths, the free tokens before the spans are independent and uniform."""
    free = drawn.windows.maskable - drawn.hidden - (drawn.counts - 1)
    before = drawn.starts - drawn.windows.first[drawn.owners] - drawn.hidden_before - drawn.numbers
    return _uniform(drawn, before, free + 1)


def token_places(drawn: Drawn, objective: ObjectiveConfig) -> Tally:
    """Each token of the text is as likely to be hidden."""
    return _uniform(drawn, drawn.starts - drawn.windows.first[drawn.owners], drawn.windows.maskable)


def document_lengths(drawn: Drawn, objective: ObjectiveConfig) -> Tally:
    """Uniform from the shortest span to the whole text."""
    shortest = law_rules.shortest_document(drawn, objective)
    return _uniform(drawn, drawn.lengths - shortest, drawn.windows.maskable - shortest + 1)


def document_places(drawn: Drawn, objective: ObjectiveConfig) -> Tally:
    """Given its length, the span's place is uniform."""
    return _uniform(
        drawn, drawn.starts - drawn.windows.first, drawn.windows.maskable - drawn.hidden + 1
    )


def suffix_lengths(drawn: Drawn, objective: ObjectiveConfig) -> Tally:
    """Uniform from the shortest to the longest hidden end."""
    shortest, longest = law_rules.suffix_bounds(drawn, objective)
    return _uniform(drawn, drawn.lengths - shortest, longest - shortest + 1)


def first_sentences(drawn: Drawn, objective: ObjectiveConfig) -> Tally:
    """The sentence drawn first is uniform among those of its window.

    The order of drawing is not seen, but its probability given the hidden sentences is known: the
    last one is uniform among the r without which the target is not covered, and the first uniform
    among the m - 1 others. So a hidden sentence was first with probability
    (r - [it is one of the r]) / (r (m - 1)), and 1 where m = 1.
    """
    owners, counts = drawn.owners, drawn.counts
    is_last = (drawn.hidden[owners] - drawn.lengths) < drawn.windows.targets(objective.mask_ratio)[
        owners
    ]
    possible = drawn.how_many(is_last)[owners]
    others = np.maximum(counts - 1, 1)[owners]
    weights = UNIT * (possible - (is_last & (counts[owners] > 1))) // (possible * others)
    number = law_rules.num_sentences(drawn)
    return _uniform(drawn, law_rules.sentence_numbers(drawn), number, weights)


def _uniform(drawn: Drawn, values: Ints, ranges: Ints, weights: Ints | None = None) -> Tally:
    """`values` (s,) uniform on 0..ranges - 1 (w,), in `PARTS` equal parts, exact in each window.

    With `weights` (s,), in units, each window is one observation. Windows without a choice are
    left out.
    """
    chosen = (ranges > 1) & ~drawn.is_short
    inside = chosen[drawn.owners]
    parts = values[inside] * PARTS // ranges[drawn.owners[inside]]
    if weights is None:
        observed, times = np.bincount(parts, minlength=PARTS) * UNIT, drawn.counts[chosen]
    else:
        observed, times = np.zeros(PARTS, np.int64), np.ones(int(chosen.sum()), np.int64)
        np.add.at(observed, parts, weights[inside])
    return Tally(len(times), observed, _expected(ranges[chosen], times))


def _expected(ranges: Ints, times: Ints) -> Ints:
    """Units expected in each part of `times` (m,) uniform draws below `ranges` (m,)."""
    times_of = np.bincount(ranges, weights=times, minlength=1).astype(np.int64)
    found = np.flatnonzero(times_of)
    edges = -(-np.arange(PARTS + 1) * found[:, None] // PARTS)
    return np.asarray(times_of[found] @ (np.diff(edges) * UNIT // found[:, None]))


SHORT_SPANS = Law(
    law_rules.keep_short_spans,
    {"span_lengths": span_lengths, "places": short_span_places, "single_spans": single_spans},
)
SENTENCES = Law(law_rules.keep_sentences, {"first_sentences": first_sentences})
DOCUMENT = Law(
    law_rules.keep_document, {"span_lengths": document_lengths, "places": document_places}
)
SUFFIX = Law(law_rules.keep_suffix, {"span_lengths": suffix_lengths})
COMPLETION = Law(law_rules.keep_completion)
TOKENS = Law(law_rules.keep_tokens, {"places": token_places})
