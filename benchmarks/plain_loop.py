"""The rivals of `samples.py`: GLM's blank objective, one sample after another in plain Python.

`ArrayLoop` is what one writes first, and what the reference does: `random` and a few NumPy calls
per span. `ListLoop` is the fastest form that we found without batches: NumPy meets a sample once
per column. Both do the whole work, as `check` shows; only their draws are their own.
"""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Any

import numpy as np

from pipeline.assemble import Rules
from pipeline.packing import decode_row
from pipeline.restore import restore_blanks
from pipeline.window_batch import Rows, WindowBatch
from schemas.build_config import ObjectiveConfig
from schemas.objectives import SpecialTokens
from schemas.samples import RowFormat

TEXT_TOKENS, VOCAB_SIZE = 510, 30_000
FORMAT = RowFormat.for_vocabulary(VOCAB_SIZE, 704, 4, ("blank",))
SPECIAL = SpecialTokens(
    pad=0, cls=1, eos=2, mask=3, gmask=4, smask=5, start=6, end=7, noise=8,
    first_sentinel=VOCAB_SIZE - 200, num_sentinels=100,
)  # fmt: skip


class ListLoop:
    """Samples as Python lists, stored in NumPy rows."""

    def __init__(self, mean: float = 3.0, longest: int = 39, ratio: float = 0.15) -> None:
        weights = list(accumulate(range(2, longest + 1), lambda w, n: w * mean / n, initial=1.0))
        self._cumulative = [part / sum(weights) for part in accumulate(weights)]
        self._random, self._ratio = Random(0), ratio  # noqa: S311 - chooses blanks, guards nothing

    def spans(self, first: int, last: int, target: int) -> list[tuple[int, int]]:
        """Ascending blanks of the maskable range that cover `target` tokens."""
        lengths: list[int] = []
        masked = 0
        while masked < target:
            length = bisect(self._cumulative, self._random.random()) + 1
            length = min(length, last - first - masked - max(len(lengths), 1))
            lengths.append(length)
            masked += length
        free = last - first - masked - (len(lengths) - 1)
        starts = sorted(self._random.randrange(free + 1) for _ in lengths)
        found, offset = [], first
        for start, length in zip(starts, lengths, strict=True):
            found.append((offset + start, offset + start + length))
            offset += length + 1
        return found

    def sample(self, text: np.ndarray, values: np.ndarray) -> None:
        """Write one sample into its row `values` (width,)."""
        window = [SPECIAL.cls, *text.tolist(), SPECIAL.eos]
        spans = self.spans(1, len(window) - 1, int(self._ratio * len(window)))
        tokens: list[int] = []
        place_of, kept_from = {}, 0
        for start, stop in spans:
            tokens += window[kept_from:start]
            place_of[start] = len(tokens)
            tokens.append(SPECIAL.mask)
            kept_from = stop
        tokens += window[kept_from:]
        boundary = len(tokens)
        labels, blocks = [FORMAT.ignore] * boundary, [0] * boundary
        positions = list(range(boundary))
        self._random.shuffle(spans)
        for start, stop in spans:
            hidden = window[start:stop]
            tokens += [SPECIAL.start, *hidden]
            labels += [*hidden, SPECIAL.end]
            positions += [place_of[start]] * (len(hidden) + 1)
            blocks += range(1, len(hidden) + 2)
        store([tokens, labels, positions, blocks], boundary, values)

    def write(self, windows: WindowBatch, rows: Rows) -> None:
        """Write the sample of window i into row i."""
        for index, offset in enumerate(windows.offsets.tolist()):
            self.sample(windows.tokens[offset : offset + TEXT_TOKENS], rows.values[index])


class ArrayLoop(ListLoop):
    """Samples as NumPy arrays, put together from pieces."""

    def sample(self, text: np.ndarray, values: np.ndarray) -> None:
        """Write one sample into its row `values` (width,)."""
        window = np.concatenate(([SPECIAL.cls], text, [SPECIAL.eos]))
        spans = self.spans(1, len(window) - 1, int(self._ratio * len(window)))
        tokens: list[Any] = []
        place_of, kept_from, removed = {}, 0, 0
        for start, stop in spans:
            tokens += [window[kept_from:start], [SPECIAL.mask]]
            place_of[start] = start - removed
            kept_from, removed = stop, removed + stop - start - 1
        tokens.append(window[kept_from:])
        boundary = len(window) - removed
        labels: list[Any] = [np.full(boundary, FORMAT.ignore)]
        positions, blocks = [np.arange(boundary)], [np.zeros(boundary, np.int64)]
        self._random.shuffle(spans)
        for start, stop in spans:
            tokens += [[SPECIAL.start], window[start:stop]]
            labels += [window[start:stop], [SPECIAL.end]]
            positions.append(np.full(stop - start + 1, place_of[start]))
            blocks.append(np.arange(1, stop - start + 2))
        columns = [np.concatenate(pieces) for pieces in (tokens, labels, positions, blocks)]
        store(columns, boundary, values)


def store(columns: Sequence[Any], boundary: int, values: np.ndarray) -> None:
    """Write the columns of one sample to the front of its row."""
    length = len(columns[0])
    for column, numbers in enumerate(columns):
        values[column * FORMAT.row_tokens : column * FORMAT.row_tokens + length] = numbers
    behind = 4 * FORMAT.row_tokens
    for number, value in enumerate((length, boundary, 1)):
        values[behind + number * FORMAT.max_samples] = value


def check(windows: WindowBatch, rows: Rows) -> None:
    """Raise unless the window can be restored from every row."""
    rules = Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, TEXT_TOKENS + 2)
    for index, values in enumerate(rows.values):
        (sample,) = decode_row(values, rows.format)
        tokens, spans = restore_blanks(sample, rules)
        np.testing.assert_array_equal(tokens, windows.window(index, SPECIAL).tokens)
        assert sum(span.stop - span.start for span in spans) >= 76
