"""The rival of `samples.py`: GLM's blank objective, one sample after another in plain Python.

What one would write without a thought about speed: `random`, lists, and one NumPy row per sample.
It does the whole work, as `check` shows; only its draws are its own.
"""

from bisect import bisect
from itertools import accumulate
from random import Random

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


class PlainLoop:
    """What one would write without much thought about speed: `random`, lists and NumPy rows."""

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

    def sample(self, text: list[int], values: np.ndarray) -> None:
        """Write one sample into its row `values` (width,)."""
        window = [SPECIAL.cls, *text, SPECIAL.eos]
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
        labels, positions, blocks = (
            [FORMAT.ignore] * boundary,
            list(range(boundary)),
            [0] * boundary,
        )
        self._random.shuffle(spans)
        for start, stop in spans:
            hidden = window[start:stop]
            tokens += [SPECIAL.start, *hidden]
            labels += [*hidden, SPECIAL.end]
            positions += [place_of[start]] * (len(hidden) + 1)
            blocks += range(1, len(hidden) + 2)
        for column, numbers in enumerate((tokens, labels, positions, blocks)):
            begin = column * FORMAT.row_tokens
            values[begin : begin + len(numbers)] = numbers
        numbers_at = 4 * FORMAT.row_tokens
        values[numbers_at] = len(tokens)
        values[numbers_at + FORMAT.max_samples] = boundary
        values[numbers_at + 2 * FORMAT.max_samples] = 1

    def write(self, windows: WindowBatch, rows: Rows) -> None:
        """Write the sample of window i into row i."""
        for index, offset in enumerate(windows.offsets.tolist()):
            text = windows.tokens[offset : offset + TEXT_TOKENS].tolist()
            self.sample(text, rows.values[index])


def check(windows: WindowBatch, rows: Rows) -> None:
    """Raise unless the window can be restored from every row."""
    rules = Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, TEXT_TOKENS + 2)
    for index, values in enumerate(rows.values):
        (sample,) = decode_row(values, rows.format)
        tokens, spans = restore_blanks(sample, rules)
        np.testing.assert_array_equal(tokens, windows.window(index, SPECIAL).tokens)
        assert sum(span.stop - span.start for span in spans) >= 76
