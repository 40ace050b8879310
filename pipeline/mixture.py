"""Mixture: a fixed interleaving of choices in given shares, exact within one at every prefix.

Used twice: the build gives each window its objective by it, the stream each row its data set.
"""

import heapq
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from reprlib import repr as shortened

import numpy as np
from numpy.typing import NDArray

from pipeline.given_numbers import is_real
from schemas.errors import UserError

Ints = NDArray[np.int64]

MAX_PERIOD = 1 << 16
"""Longest period. Shares whose common denominator is larger are rounded to multiples of
1 / MAX_PERIOD (largest remainders first), thus by less than that."""


def schedule(weights: Sequence[float]) -> NDArray[np.int64]:
    """One period of choices, int64 (period,), read-only: indices into `weights`.

    Repeated for ever, the count of each choice in every prefix [0, n) differs from n times its
    share by less than one; a weight of 0 is never chosen. Weights are taken as the decimals they
    are written as. Tijdeman's chairman assignment (1980) in integers, so the same everywhere; ties
    go to the earlier choice. Raises `UserError` for weights that are no shares, or below
    1 / MAX_PERIOD of their sum.
    """
    return _schedule(tuple(period_counts(weights)))


def period_counts(weights: Sequence[float]) -> list[int]:
    """How often each choice occurs in one period; the shares as the schedule realises them."""
    shares = _shares(weights)
    near = [share.limit_denominator(MAX_PERIOD) for share in shares]
    period = math.lcm(*(share.denominator for share in near))
    if period > MAX_PERIOD or sum(near) != 1:
        period, near = MAX_PERIOD, shares
    counts = [int(share * period) for share in near]
    by_remainder = sorted(range(len(near)), key=lambda i: (counts[i] - near[i] * period, i))
    for index in by_remainder[: period - sum(counts)]:
        counts[index] += 1
    lost = [weight for weight, count in zip(weights, counts, strict=True) if weight and not count]
    if lost:
        raise UserError(
            f"weight {lost[0]!r} is less than 1/{MAX_PERIOD} of the sum of "
            f"{shortened(list(weights))}: it would never be chosen; leave it out or raise it"
        )
    return counts


def _shares(weights: Sequence[float]) -> list[Fraction]:
    for weight in weights:
        if not is_real(weight) or not 0 <= weight < math.inf:
            raise UserError(
                f"weight {weight!r:.80} in {shortened(list(weights))}: expected a finite number, "
                "not negative"
            )
    exact = [Fraction(str(weight)) for weight in weights]
    total = sum(exact)
    if not total:
        raise UserError(f"weights {shortened(list(weights))}: at least one must be above 0")
    return [weight / total for weight in exact]


def schedule_from(weights: Sequence[float], first: int) -> NDArray[np.int64]:
    """One period that begins with choice `first`, whose weight is above 0; else as `schedule`.

    Such a period exists for every choice: before the first deadline of `first` at step t, the
    others need at most floor(t - t * share) < t of t steps.
    """
    return _schedule_from(tuple(period_counts(weights)), first)


@lru_cache(maxsize=16)
def _schedule(counts: tuple[int, ...]) -> NDArray[np.int64]:
    """Chairman assignment as jobs with release times and deadlines, the earliest deadline first.

    With k choices, occurrence x of choice i is released at the first step t (from 1) with
    t * c_i >= period * (x + 1 / (2k - 2)), and due by (x + 1 - 1 / (2k - 2)) * period / c_i.
    """
    slack = 2 * max(sum(count > 0 for count in counts), 2) - 2
    return _earliest_deadline_first(counts, slack, None)


@lru_cache(maxsize=64)
def _schedule_from(counts: tuple[int, ...], first: int) -> NDArray[np.int64]:
    """The same without slack: released once t * c_i > period * x, due by (x + 1) * period / c_i."""
    return _earliest_deadline_first(counts, 0, first)


def _earliest_deadline_first(
    counts: tuple[int, ...], slack: int, first: int | None
) -> NDArray[np.int64]:
    """One period that begins with choice `first`, where one is given; `slack` narrows the steps in
    which an occurrence may stand. Occurrences go by their rank among all deadlines."""
    sizes, period = np.array(counts), sum(counts)
    choices = np.repeat(np.arange(len(counts)), sizes)
    numbers = np.arange(period) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    head = [] if first is None else [int(np.searchsorted(choices, first))]
    ranked = np.delete(np.arange(period), head)
    ranked = ranked[_by_deadline(choices[ranked], numbers[ranked], sizes, slack)]
    steps = _releases(numbers[ranked], period, sizes[choices[ranked]], slack)
    by_release = np.argsort(steps, kind="stable")
    coming = zip([*steps[by_release].tolist(), period + 1], [*by_release.tolist(), -1], strict=True)
    release, rank = next(coming)
    due: list[int] = []
    taken = []
    for step in range(len(head) + 1, period + 1):
        while release <= step:
            heapq.heappush(due, rank)
            release, rank = next(coming)
        taken.append(heapq.heappop(due))
    order = choices[np.concatenate([head, ranked[taken]]).astype(np.int64)]
    order.flags.writeable = False
    return order


def _releases(numbers: Ints, period: int, counts: Ints, slack: int) -> Ints:
    """First step, from 1, at which occurrence `numbers` (n,) of its choice may stand."""
    if not slack:
        return period * numbers // counts + 1
    return -(-period * (numbers * slack + 1) // (counts * slack))


def _by_deadline(choices: Ints, numbers: Ints, counts: Ints, slack: int) -> Ints:
    """Order of the occurrences by the last step at which they may stand, exactly, as fractions with
    denominators up to 2**16: two that differ do so by 2**-32 at least."""
    parts = slack * (numbers + 1) - 1 if slack else numbers + 1
    whole, rest = np.divmod(parts, counts[choices])
    return np.lexsort((choices, (rest << 34) // counts[choices], whole))


class Interleaving:
    """The endless repetition of `schedule(weights)`, addressable at any index; any question about
    any index is O(1), but for `counts` and `index_of`, which look at one period.

    Memory is one period: one or two bytes for each of its places, five or six once a choice was
    looked up.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.shares = tuple(period_counts(weights))
        self.period = sum(self.shares)
        narrow = np.min_scalar_type(len(self.shares) - 1)
        self._order = schedule(weights).astype(narrow)

    def counts(self, n: int) -> list[int]:
        """How often each choice occurs in [0, n), for any n >= 0; the counts add up to n."""
        periods, rest = divmod(n, self.period)
        before = np.bincount(self._order[:rest], minlength=len(self.shares)).tolist()
        return [periods * share + part for share, part in zip(self.shares, before, strict=True)]

    def choices_at(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The choice at each of `indices` (n,), and how often it occurs before."""
        periods, places = np.divmod(indices, self.period)
        chosen = self._order[places].astype(np.int64)
        return chosen, periods * self._share_of[chosen] + self._occurrences[places]

    def index_of(self, choice: int, number: int) -> int:
        """Index of occurrence `number`, from 0, of a choice with a weight above 0."""
        periods, rest = divmod(number, self.shares[choice])
        return periods * self.period + int(np.flatnonzero(self._order == choice)[rest])

    @cached_property
    def _share_of(self) -> NDArray[np.int64]:
        return np.array(self.shares, np.int64)

    @cached_property
    def _occurrences(self) -> NDArray[np.uint32]:
        """How often the choice of each place of a period occurs before it, in the period."""
        by_choice = np.argsort(self._order, kind="stable")
        found = np.empty(self.period, np.uint32)
        firsts = np.cumsum(self._share_of) - self._share_of
        found[by_choice] = np.arange(self.period) - np.repeat(firsts, self._share_of)
        return found


@lru_cache(maxsize=64)
def interleaving(shares: tuple[int, ...]) -> Interleaving:
    """The interleaving of `period_counts`, the same one for equal shares."""
    return Interleaving(shares)
