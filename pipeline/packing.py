"""samples -> rows: best fit within one work item, in document order.

Stands between the engines and `rows.py`. Which row a sample lands in depends only on the lengths of
the samples before it, so the rows of an item are a function of its samples.
"""

from bisect import bisect_left, insort

import numpy as np

from schemas.objectives import IGNORE_INDEX
from schemas.samples import RowFormat, Sample

OPEN_ROWS = 1024
"""Rows kept open for later samples; more would fill a little better and hold more memory."""


class Packer:
    """Places samples in rows by online best fit over at most `OPEN_ROWS` open rows.

    A sample goes to the fullest open row that still holds it (the oldest of equals), else to a new
    row. When a new row would be one too many, the fullest row is closed. Rows are numbered in the
    order in which they were opened; `closed` lists them in the order in which they were closed.
    """

    def __init__(self, row_tokens: int, max_samples: int) -> None:
        self._row_tokens, self._max_samples = row_tokens, max_samples
        self._num_samples: dict[int, int] = {}
        self._by_room: list[tuple[int, int]] = []
        self._opened = 0
        self.closed: list[int] = []

    def place(self, length: int) -> tuple[int, int, int]:
        """(row, first token, number in the row) of the next sample, of `length` tokens."""
        assert length <= self._row_tokens, f"sample of {length} tokens outgrows its row"
        index = bisect_left(self._by_room, (length, -1))
        if index < len(self._by_room):
            room, row = self._by_room.pop(index)
        else:
            if len(self._by_room) == OPEN_ROWS:
                self._close(0)
            room, row = self._row_tokens, self._opened
            self._opened += 1
            self._num_samples[row] = 0
        number = self._num_samples[row]
        self._num_samples[row] = number + 1
        if room == length or number + 1 == self._max_samples:
            del self._num_samples[row]
            self.closed.append(row)
        else:
            insort(self._by_room, (room - length, row))
        return row, self._row_tokens - room, number

    def finish(self) -> None:
        """Close the open rows, the fullest first."""
        while self._by_room:
            self._close(0)

    def _close(self, index: int) -> None:
        row = self._by_room.pop(index)[1]
        del self._num_samples[row]
        self.closed.append(row)


def empty_rows(count: int, row_format: RowFormat, pad: int) -> np.ndarray:
    """Rows (count, width) without a sample: `pad`, ignored, at position 0."""
    rows = np.zeros((count, row_format.width), row_format.dtype)
    clear_rows(rows, row_format, pad)
    return rows


def clear_rows(rows: np.ndarray, row_format: RowFormat, pad: int) -> None:
    """Make `rows` what `empty_rows` gives."""
    rows[...] = 0
    rows[..., row_format.slices["tokens"]] = pad
    rows[..., row_format.slices["labels"]] = row_format.ignore


def encode_sample(
    row: np.ndarray, sample: Sample, at: tuple[int, int], code: int, row_format: RowFormat
) -> None:
    """Write `sample` into `row` (width,); `at` is (first token, number in the row).

    `code` is the objective's code on disk: its index in the format's objectives, plus one.
    """
    first, place = at
    slices, length = row_format.slices, len(sample.tokens)
    labels = np.where(sample.labels == IGNORE_INDEX, row_format.ignore, sample.labels)
    columns = {
        "tokens": sample.tokens,
        "labels": labels,
        "positions": sample.positions,
        "block_positions": sample.block_positions,
    }
    for name, values in columns.items():
        row[slices[name].start + first : slices[name].start + first + length] = values
    row[slices["lengths"].start + place] = length
    row[slices["boundaries"].start + place] = sample.boundary
    row[slices["objectives"].start + place] = code


def decode_row(row: np.ndarray, row_format: RowFormat) -> list[Sample]:
    """The samples of one row (width,), without their origin; inverse of `encode_sample`."""
    parts = {name: row[place].astype(np.int32) for name, place in row_format.slices.items()}
    ignored = row[row_format.slices["labels"]] == row_format.ignore
    parts["labels"] = np.where(ignored, IGNORE_INDEX, parts["labels"])
    samples, first = [], 0
    for place, length in enumerate(parts["lengths"].tolist()):
        if not length:
            break
        inside = slice(first, first + length)
        samples.append(
            Sample(
                tokens=parts["tokens"][inside],
                labels=parts["labels"][inside],
                positions=parts["positions"][inside],
                block_positions=parts["block_positions"][inside],
                boundary=int(parts["boundaries"][place]),
                objective=int(parts["objectives"][place]),
            )
        )
        first += length
    return samples
