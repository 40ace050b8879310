"""Windows of one objective and the spans drawn in them, as the laws look at them.

Stands between `window_batch.py` and `laws.py`. Everything is read off the spans themselves, so that
what is checked is what was drawn, by whichever engine.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.window_batch import Ints, SpanBatch, WindowBatch
from schemas.build_config import ObjectiveConfig

Bools = NDArray[np.bool_]

FIRST_LAWFUL_TOKENS = 32
"""Windows of fewer tokens are short: described apart, and no law is checked on them."""

_PLACE_BITS = 21


@dataclass(frozen=True)
class Drawn:
    """`w` windows and their `s` spans, ascending within each window; all arrays are int64.

    `counts` (w,) spans of each window; `starts`, `stops` (s,) half-open ranges in the window's own
    coordinates, [CLS] at 0.
    """

    windows: WindowBatch
    counts: Ints
    starts: Ints
    stops: Ints

    @classmethod
    def of(cls, windows: WindowBatch, spans: SpanBatch, chosen: Ints) -> "Drawn":
        """The windows of the indices `chosen`, their spans put in the order of the text."""
        whole = ("tokens", "sentence_ends", "cls", "eos")
        names = [name for name in WindowBatch.__slots__ if name not in whole]
        own = replace(windows, **{name: getattr(windows, name)[chosen] for name in names})
        counts = spans.counts[chosen]
        before = np.cumsum(counts) - counts
        flat = np.arange(counts.sum()) + np.repeat(spans.edges[chosen] - before, counts)
        starts, stops = spans.starts[flat], spans.stops[flat]
        places = np.repeat(np.arange(len(counts)) << _PLACE_BITS, counts) + starts
        if (places[1:] < places[:-1]).any():
            order = np.argsort(places)
            starts, stops = starts[order], stops[order]
        return cls(own, counts, starts, stops)

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def sizes(self) -> Ints:
        """(w,) Tokens of each window, [CLS] and eos included."""
        return self.windows.sizes

    @cached_property
    def first(self) -> Ints:
        """(w,) First token that may be hidden: behind [CLS] and the prompt."""
        return self.windows.prompts + int(self.windows.cls)

    @cached_property
    def last(self) -> Ints:
        """(w,) End of the text: where eos stands, if any."""
        return self.windows.lengths + int(self.windows.cls)

    @cached_property
    def maskable(self) -> Ints:
        """(w,) Tokens of text that may be hidden."""
        return self.last - self.first

    @cached_property
    def is_short(self) -> Bools:
        """(w,) True for windows below `FIRST_LAWFUL_TOKENS`."""
        return self.sizes < FIRST_LAWFUL_TOKENS

    @cached_property
    def edges(self) -> Ints:
        """(w + 1,) The spans of window i are [edges[i], edges[i + 1])."""
        return np.concatenate(([0], np.cumsum(self.counts)))

    @cached_property
    def owners(self) -> Ints:
        """(s,) Window of each span."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def lengths(self) -> Ints:
        """(s,) Tokens of each span."""
        return self.stops - self.starts

    @cached_property
    def hidden(self) -> Ints:
        """(w,) Tokens in the spans of each window."""
        return self._sums(self.lengths)

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

    def targets(self, objective: ObjectiveConfig) -> Ints:
        """(w,) Tokens to hide at least: `spans.target_tokens`."""
        return np.maximum(1, (objective.mask_ratio * self.sizes).astype(np.int64))

    def has_only(self, spans: Bools) -> Bools:
        """(w,) True where `spans` (s,) is true for every span of the window."""
        return np.asarray(self.how_many(~spans) == 0)

    def how_many(self, spans: Bools) -> Ints:
        """(w,) Spans of each window for which `spans` (s,) is true."""
        return np.bincount(self.owners[spans], minlength=len(self))

    def is_sound(self) -> Bools:
        """(w,) True where spans are inside the window, not empty, do not overlap, and are some."""
        sizes, touches = self.sizes[self.owners], np.zeros(len(self.starts), bool)
        touches[1:] = (self.owners[1:] == self.owners[:-1]) & (self.starts[1:] < self.stops[:-1])
        is_inside = (self.starts >= 0) & (self.lengths > 0) & (self.stops <= sizes)
        return self.has_only(is_inside & ~touches) & (self.counts > 0)

    def _sums(self, values: Ints) -> Ints:
        total = np.concatenate(([0], np.cumsum(values)))
        return np.diff(total[self.edges])
