"""Courses: from the number of a visit of a data set to its epoch, and to a row.

Stands between visits, which say how often a data set was visited, and the orders of its epochs. An
epoch that has begun ends as it began, whatever changes meanwhile; that is why nothing is repeated
or lost when a data set grows, or is visited under another seed or in another order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pipeline.orders.order import Permutation
from pipeline.orders.window_order import EpochKey, TableRows, WindowOrder
from pipeline.row_numbers import Numbers

_ORDERS_KEPT = 2


@dataclass(frozen=True)
class Version:
    """A data set as it was when its epochs began, with at least one row in `table`."""

    digest: str
    table: TableRows = field(compare=False)


class Window(NamedTuple):
    """At most `num_shards` shards that are read together, from place `start` of `epoch` on."""

    epoch: int
    start: int
    num_shards: int


@dataclass(frozen=True)
class EpochRule:
    """How epochs are ordered: globally, or in windows of `window_shards`.

    Equal rules give every epoch the same order.
    """

    version: Version
    seed: int
    window_shards: int | None

    def order(self, epoch: int) -> Callable[[Numbers], Numbers]:
        """Places in the epoch -> row numbers."""
        version = self.version
        if self.window_shards is None:
            return Permutation(version.table.num_rows, self.seed, epoch, version.digest)
        key = EpochKey(self.seed, epoch, version.digest)
        return WindowOrder(version.table, self.window_shards, key)


class Phase:
    """Epochs of one rule: from `first_epoch` on, which begins with visit `first_visit`."""

    def __init__(self, first_visit: int, first_epoch: int, rule: EpochRule) -> None:
        self.first_visit, self.first_epoch, self.rule = first_visit, first_epoch, rule
        self.num_rows = rule.version.table.num_rows
        self._orders: dict[int, Callable[[Numbers], Numbers]] = {}

    def place(self, visit: int) -> tuple[int, int]:
        """Epoch of `visit`, and its place in it."""
        epochs, place = divmod(visit - self.first_visit, self.num_rows)
        return self.first_epoch + epochs, place

    def visit_of(self, epoch: int) -> int:
        """The visit with which `epoch` begins."""
        return self.first_visit + (epoch - self.first_epoch) * self.num_rows

    def order(self, epoch: int) -> Callable[[Numbers], Numbers]:
        """The order of `epoch`; the last two are kept."""
        if epoch not in self._orders:
            if len(self._orders) == _ORDERS_KEPT:
                del self._orders[min(self._orders)]
            self._orders[epoch] = self.rule.order(epoch)
        return self._orders[epoch]

    def rows(self, visits: Numbers) -> Numbers:
        """Row number of each of `visits` (n,), which ascend."""
        if self.first_visit:
            visits = visits - self.first_visit
        epochs, places = np.divmod(visits, self.num_rows)
        first, last = int(epochs[0]), int(epochs[-1])
        if first == last:
            return self.order(self.first_epoch + first)(places)
        numbers, starts = np.unique(epochs, return_index=True)
        parts = zip(numbers.tolist(), np.split(places, starts[1:]), strict=True)
        return np.concatenate([self.order(self.first_epoch + n)(part) for n, part in parts])


class Course:
    """Every visit of one data set, from the first on: phases, each of whole epochs.

    A data set of 100 rows is grown to 150 when 50 were visited, and to 180 when 60 were:

        follow(0, of 100 rows)   phases: from visit 0 on, epoch 0, 100 rows
        follow(50, of 150 rows)  and from visit 100 on, epoch 1, 150 rows
        follow(60, of 180 rows)  the second, which has not begun, is replaced:
                                 from visit 100 on, epoch 1, 180 rows
    """

    def __init__(self) -> None:
        self._phases: list[Phase] = []

    @property
    def latest(self) -> Version | None:
        """The version that was followed last; None at first."""
        return self._phases[-1].rule.version if self._phases else None

    def follow(self, visit: int, rule: EpochRule) -> None:
        """From `visit` on, `rule` orders every epoch that has not begun.

        `visit` is the number of visits so far, 0 at first, and never less than in the call before.
        """
        while self._phases and self._phases[-1].first_visit >= visit:
            self._phases.pop()
        if not self._phases:
            assert visit == 0, visit
            self._phases.append(Phase(0, 0, rule))
            return
        last = self._phases[-1]
        if last.rule != rule:
            epoch, place = last.place(visit)
            epoch += place > 0
            self._phases.append(Phase(last.visit_of(epoch), epoch, rule))

    def visit_of(self, epoch: int) -> int:
        """The visit with which `epoch` begins."""
        began = [phase for phase in self._phases if phase.first_epoch <= epoch]
        return began[-1].visit_of(epoch)

    def rows(self, visits: Numbers) -> Numbers:
        """Row number of each of `visits` (n,), which ascend."""
        if not len(visits):
            return visits
        if len(self._phases) == 1:
            return self._phases[0].rows(visits)
        starts = np.searchsorted(visits, [phase.first_visit for phase in self._phases[1:]])
        parts = zip(self._phases, np.split(visits, starts), strict=True)
        return np.concatenate([phase.rows(part) for phase, part in parts if len(part)])

    def window(self, visit: int) -> Window | None:
        """The window of `visit`; None when its epoch is in global order."""
        epoch, place, order = self._order_at(visit)
        if not isinstance(order, WindowOrder):
            return None
        return Window(epoch, order.window_start(place), order.window_shards)

    def shards_ahead(self, visit: int) -> Iterator[tuple[int, int]]:
        """(block of the table, shard in the block) in the order in which they are needed, from the
        window of `visit` on to the end of the next epoch; none of an epoch in global order."""
        for _ in range(2):
            _, place, order = self._order_at(visit)
            if isinstance(order, WindowOrder):
                yield from order.shards_ahead(place)
            visit += self._at(visit).num_rows - place

    def _at(self, visit: int) -> Phase:
        return [phase for phase in self._phases if phase.first_visit <= visit][-1]

    def _order_at(self, visit: int) -> tuple[int, int, Callable[[Numbers], Numbers]]:
        phase = self._at(visit)
        epoch, place = phase.place(visit)
        return epoch, place, phase.order(epoch)
