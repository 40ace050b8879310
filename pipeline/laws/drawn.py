"""Windows of one objective and the spans drawn in them, as the laws look at them.

Stands between `window_batch.py` and `laws.py`. Everything is read off the spans themselves, so that
what is checked is what was drawn, by whichever engine.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.window_batch import Ints, SpanBatch, WindowBatch

Bools = NDArray[np.bool_]

FIRST_LAWFUL_TOKENS = 32
"""Windows of fewer tokens are short: described apart, and no law is checked on them."""

_PLACE_BITS = 21


@dataclass(frozen=True)
class Drawn(SpanBatch):
    """`w` windows and their `s` spans, ascending within each window; all arrays are int64."""

    windows: WindowBatch

    @classmethod
    def in_text_order(cls, windows: WindowBatch, spans: SpanBatch) -> "Drawn":
        """The spans of `windows`, put in the order of the text."""
        starts, stops = spans.starts, spans.stops
        places = np.repeat(np.arange(len(windows)) << _PLACE_BITS, spans.counts) + starts
        if (places[1:] < places[:-1]).any():
            order = np.argsort(places)
            starts, stops = starts[order], stops[order]
        return cls(starts, stops, spans.edges, windows)

    def __len__(self) -> int:
        return len(self.windows)

    @cached_property
    def is_short(self) -> Bools:
        """(w,) True for windows below `FIRST_LAWFUL_TOKENS`."""
        return self.windows.sizes < FIRST_LAWFUL_TOKENS

    @cached_property
    def owners(self) -> Ints:
        """(s,) Window of each span."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def lengths(self) -> Ints:
        """(s,) Tokens of each span."""
        return self.stops - self.starts

    @cached_property
    def longest(self) -> Ints:
        """(w,) Length of the longest span; every window must have one."""
        return np.maximum.reduceat(self.lengths, self.edges[:-1])

    @cached_property
    def numbers(self) -> Ints:
        """(s,) 0, 1, ... for the spans of each window."""
        return np.arange(len(self.starts)) - self.edges[:-1][self.owners]

    @cached_property
    def hidden_before(self) -> Ints:
        """(s,) Hidden tokens of the same window before each span."""
        before = np.cumsum(self.lengths) - self.lengths
        return before - before[self.edges[:-1]][self.owners]

    def has_only(self, spans: Bools) -> Bools:
        """(w,) True where `spans` (s,) is true for every span of the window."""
        return np.asarray(self.how_many(~spans) == 0)

    def how_many(self, spans: Bools) -> Ints:
        """(w,) Spans of each window for which `spans` (s,) is true."""
        return np.bincount(self.owners[spans], minlength=len(self))

    def is_sound(self, hides_eos: bool = True) -> Bools:
        """(w,) True where there are spans, none is empty, they do not overlap, and they lie behind
        [CLS] and the prompt, in the text or, with `hides_eos`, in the window."""
        touches = np.zeros(len(self.starts), bool)
        touches[1:] = (self.owners[1:] == self.owners[:-1]) & (self.starts[1:] < self.stops[:-1])
        first, stop = self.windows.first, self.windows.sizes if hides_eos else self.windows.last
        is_inside = (self.starts >= first[self.owners]) & (self.stops <= stop[self.owners])
        return self.has_only(is_inside & (self.lengths > 0) & ~touches) & (self.counts > 0)
