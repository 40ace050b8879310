"""A batch: rows of one rank as they are on disk, and where they are from.

What a stream hands out; made by `batches.py`.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from pipeline.row_numbers import Numbers


@dataclass(frozen=True, slots=True)
class Batch:
    """This rank's rows of one global batch, as views of `rows` (n, width) in the type on disk.

    `datasets` and `row_numbers`, int64 (n,), say where each row is from: an index into
    `RowStream.datasets` and the row's number in the split. `consumed_rows` counts the rows of all
    ranks up to the end of this batch. The arrays belong to the consumer and may be written to.
    """

    rows: NDArray[Any]
    datasets: Numbers
    row_numbers: Numbers
    consumed_rows: int
    slices: dict[str, slice]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def tokens(self) -> NDArray[Any]:
        """Token ids (n, row_tokens)."""
        return self.rows[:, self.slices["tokens"]]

    @property
    def labels(self) -> NDArray[Any]:
        """Labels (n, row_tokens); `RowFormat.ignore` where nothing is predicted."""
        return self.rows[:, self.slices["labels"]]

    @property
    def positions(self) -> NDArray[Any]:
        """Positions (n, row_tokens)."""
        return self.rows[:, self.slices["positions"]]

    @property
    def block_positions(self) -> NDArray[Any]:
        """Block positions (n, row_tokens)."""
        return self.rows[:, self.slices["block_positions"]]

    @property
    def lengths(self) -> NDArray[Any]:
        """Tokens of each sample (n, max_samples), 0 for none."""
        return self.rows[:, self.slices["lengths"]]

    @property
    def boundaries(self) -> NDArray[Any]:
        """Length of part A of each sample (n, max_samples)."""
        return self.rows[:, self.slices["boundaries"]]

    @property
    def objectives(self) -> NDArray[Any]:
        """Objective code of each sample (n, max_samples), 0 for none."""
        return self.rows[:, self.slices["objectives"]]
