"""Samples and windows one after another in flat columns, and what undoing their forms shares.

Used by `restored.py`, which has one function for each form.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.laws.drawn import Bools
from pipeline.window_batch import Chosen, Ints, SpanBatch, edges_of, ranges
from schemas.objectives import SpecialTokens


@dataclass(frozen=True)
class Columns:
    """`m` samples of one objective, one after another: sample i is [edges[i], edges[i + 1]).

    Columns are (t,) int64, labels `IGNORE_INDEX` where nothing is predicted; `boundaries` (m,) are
    within the samples.
    """

    tokens: Ints
    labels: Ints
    positions: Ints
    edges: Ints
    boundaries: Ints

    def __len__(self) -> int:
        return len(self.boundaries)

    @property
    def owners(self) -> Ints:
        """(t,) Sample of each token."""
        return np.repeat(np.arange(len(self)), np.diff(self.edges))

    @property
    def in_part_b(self) -> Bools:
        """(t,) True for tokens of part B."""
        return np.arange(len(self.tokens)) >= np.repeat(self.seams, np.diff(self.edges))

    @property
    def seams(self) -> Ints:
        """(m,) Where part B begins."""
        return self.edges[:-1] + self.boundaries

    @property
    def lasts(self) -> Ints:
        """(m,) The last token of each sample."""
        return self.edges[1:] - 1

    def part(self, chosen: Chosen | Bools) -> "Columns":
        """The samples `chosen`."""
        sizes = np.diff(self.edges)[chosen]
        flat = ranges(self.edges[:-1][chosen], sizes)
        columns = (self.tokens[flat], self.labels[flat], self.positions[flat])
        return Columns(*columns, edges_of(sizes), self.boundaries[chosen])


@dataclass(frozen=True)
class Restored:
    """Framed windows, one after another: window i is [edges[i], edges[i + 1]) of `tokens`."""

    tokens: Ints
    edges: Ints
    spans: SpanBatch

    def part(self, chosen: Ints) -> "Restored":
        """The windows `chosen`."""
        sizes = np.diff(self.edges)[chosen]
        flat = ranges(self.edges[:-1][chosen], sizes)
        return Restored(self.tokens[flat], edges_of(sizes), self.spans.part(chosen))


@dataclass(frozen=True)
class Pieces:
    """`s` spans, ascending by sample: its sample, the place of its mask in part A, and its hidden
    tokens, which are `lengths` labels from `firsts` on."""

    owners: Ints
    places: Ints
    firsts: Ints
    lengths: Ints


Found = tuple[Bools, Restored | None]
"""(m,) Which samples can be read back; their windows, or None where some cannot."""


def refilled(samples: Columns, pieces: Pieces, fine: Bools, masks: Ints) -> Found:
    """The windows with the pieces in place of the masks of part A.

    Those samples are `fine` that are so already, and in which every piece has tokens and a mask of
    its own.
    """
    owners, places, lengths = pieces.owners, pieces.places, pieces.lengths
    is_inside = (places >= 0) & (places < samples.boundaries[owners])
    at = np.where(is_inside, samples.edges[owners] + places, 0)
    holds = is_inside & (lengths > 0) & (samples.tokens[at] == masks)
    order = np.argsort(at, kind="stable")
    holds[order[1:]] &= at[order[1:]] != at[order[:-1]]
    fine = fine & (np.bincount(owners[~holds], minlength=len(samples)) == 0)
    if not fine.all():
        return fine, None
    part_a, seams = np.flatnonzero(~samples.in_part_b), edges_of(samples.boundaries)
    holes, widths = seams[owners] + places, np.ones(len(part_a), np.int64)
    widths[holes] = lengths
    begins = edges_of(widths)
    tokens = np.empty(begins[-1], np.int64)
    tokens[begins[:-1]] = samples.tokens[part_a]
    tokens[ranges(begins[holes], lengths)] = samples.labels[ranges(pieces.firsts, lengths)]
    edges = begins[seams]
    starts = begins[holes] - edges[owners]
    counts = np.bincount(owners, minlength=len(samples))
    return fine, Restored(tokens, edges, SpanBatch(starts, starts + lengths, edges_of(counts)))


def numbers_of(owners: Ints) -> Ints:
    """0, 1, ... for the entries of each owner; `owners` ascend."""
    return np.asarray(np.arange(len(owners)) - np.searchsorted(owners, owners))


def mask_of(numbers: Ints, special: SpecialTokens) -> Ints:
    """The mask of `SpecialTokens.sentinel`, -1 where there are not as many."""
    others = special.first_sentinel + 2 * (numbers - 1)
    masks = np.where(numbers == 0, special.mask, others)
    return np.where(numbers <= special.num_sentinels, masks, -1)


def is_mask(tokens: Ints, special: SpecialTokens) -> Bools:
    """True for the first mask and those of the sentinels."""
    behind = tokens - special.first_sentinel
    is_later = (behind >= 0) & (tokens < special.ids_stop) & (behind % 2 == 0)
    return np.asarray(is_later | (tokens == special.mask))


def places_of(masks: Ints, owners: Ints, samples: Columns, special: SpecialTokens) -> Ints:
    """(s,) Where in part A of its sample each mask stands first; -1 where it does not."""
    found = np.flatnonzero(~samples.in_part_b & is_mask(samples.tokens, special))
    where = np.searchsorted(samples.edges, found, side="right") - 1
    wide = 1 + max(int(samples.tokens.max()), int(masks.max(initial=0)))
    keys, wanted = where * wide + samples.tokens[found], owners * wide + masks
    order = np.argsort(keys, kind="stable")
    keys, found = np.append(keys[order], -1), np.append(found[order], 0)
    at = np.searchsorted(keys[:-1], wanted)
    is_there = (keys[at] == wanted) & (masks >= 0)
    return np.where(is_there, found[at] - samples.edges[owners], -1)
