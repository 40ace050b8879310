"""Visits: from an index in the endless stream to a data set and a row of it.

Joins the mixture (which data set) and the order (which of its rows). A pure function of data sets,
weights and seed: no history, no world size, no batch size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.mixture import Interleaving
from pipeline.order import Permutation

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """One data set of a mixture: its identity, rows (at least one), and weight (above 0)."""

    digest: str
    num_rows: int
    weight: float


class Visits:
    """Which row is visited when: visit k of a data set of N rows is place k % N of epoch k // N.

    Data set and visit follow from `Interleaving`, the row at a place from `Permutation`.
    """

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        self._sources, self._seed = sources, seed
        self.mixture = Interleaving([source.weight for source in sources])

    def total(self, epochs: int) -> int:
        """Index of the first visit that begins epoch `epochs` of any data set."""
        return min(
            self.mixture.index_of(choice, epochs * source.num_rows)
            for choice, source in enumerate(self._sources)
        )

    def rows(self, indices: Numbers) -> tuple[Numbers, Numbers]:
        """Number of the data set and row number in it, for each of `indices` (n,)."""
        choices = self.mixture.choices_at(indices)
        if len(self._sources) == 1:
            return choices, self._rows_of(0, indices)
        rows = np.empty_like(indices)
        for choice in range(len(self._sources)):
            here = np.flatnonzero(choices == choice)
            rows[here] = self._rows_of(choice, self.mixture.occurrences(choice, indices[here]))
        return choices, rows

    def _rows_of(self, choice: int, visits: Numbers) -> Numbers:
        """Row number of each of `visits`, which ascend."""
        source = self._sources[choice]
        epochs, places = np.divmod(visits, source.num_rows)
        numbers, starts = np.unique(epochs, return_index=True)
        parts = [
            Permutation(source.num_rows, self._seed, epoch, source.digest)(part)
            for epoch, part in zip(numbers.tolist(), np.split(places, starts[1:]), strict=False)
        ]
        return np.concatenate(parts) if parts else visits
