"""samples -> rows: best fit within one work item, in document order.

Stands between `assemble.py` and `shards.py`. Which row a sample lands in depends only on the
samples before it, so the rows of an item are a function of its samples.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

import numpy as np

from schemas.objectives import IGNORE_INDEX
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat, Sample

OPEN_ROWS = 64
"""Rows kept open for later samples; more would fill a little better and hold more memory."""


class Packer:
    """Collects samples into rows by online best fit over at most `OPEN_ROWS` open rows.

    A sample goes to the fullest open row that still holds it (the oldest of equals), else to a new
    row. When a new row would be one too many, the fullest row is closed. Rows come out in the order
    in which they were closed.
    """

    def __init__(self, row_format: RowFormat) -> None:
        self._format = row_format
        self._rows: dict[int, list[Sample]] = {}
        self._by_room: list[tuple[int, int]] = []
        self._opened = 0

    def add(self, sample: Sample) -> list[list[Sample]]:
        """Place `sample`; returns the rows that this closed, in order."""
        closed: list[list[Sample]] = []
        length = len(sample.tokens)
        assert length <= self._format.row_tokens, f"sample of {length} tokens outgrows its row"
        place = bisect_left(self._by_room, (length, -1))
        if place < len(self._by_room):
            room, row = self._by_room.pop(place)
        else:
            if len(self._by_room) == OPEN_ROWS:
                closed.append(self._close(0))
            room, row = self._format.row_tokens, self._opened
            self._opened += 1
            self._rows[row] = []
        self._rows[row].append(sample)
        if room == length or len(self._rows[row]) == self._format.max_samples:
            closed.append(self._rows.pop(row))
        else:
            insort(self._by_room, (room - length, row))
        return closed

    def finish(self) -> Iterator[list[Sample]]:
        """Close the open rows, the fullest first."""
        while self._by_room:
            yield self._close(0)

    def _close(self, place: int) -> list[Sample]:
        return self._rows.pop(self._by_room.pop(place)[1])


def encode_rows(rows: Sequence[Sequence[Sample]], row_format: RowFormat, pad: int) -> RowArrays:
    """`rows` as they stand on disk; what no sample covers is `pad`, ignored, at position 0."""
    slices = row_format.slices
    encoded = np.zeros((len(rows), row_format.width), row_format.dtype)
    encoded[:, slices["tokens"]] = pad
    encoded[:, slices["labels"]] = row_format.ignore
    origin = np.zeros((len(ORIGIN_COLUMNS), len(rows), row_format.max_samples), np.uint32)
    for number, row in enumerate(rows):
        first = 0
        for place, sample in enumerate(row):
            _encode_sample(encoded[number], sample, (first, place), row_format)
            origin[:, number, place] = [getattr(sample, name) for name in ORIGIN_COLUMNS]
            first += len(sample.tokens)
    return RowArrays(encoded, origin)


def _encode_sample(
    row: np.ndarray, sample: Sample, at: tuple[int, int], row_format: RowFormat
) -> None:
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
    row[slices["objectives"].start + place] = sample.objective


def decode_row(row: np.ndarray, row_format: RowFormat) -> list[Sample]:
    """The samples of one row (width,), without their origin; inverse of `encode_rows`."""
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
