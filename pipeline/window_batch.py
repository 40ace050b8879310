"""Many windows, and their spans, as arrays: what the engines take and give.

Stands between `windows.py`, which cuts them, and `engines/`, whose three engines agree bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.assemble import Rules
from schemas.objectives import SpecialTokens
from schemas.samples import RowFormat, Span, Window

Ints = NDArray[np.int64]
Chosen = slice | Ints
"""Windows of a batch: a range of them, or indices in any order."""


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """`w` usable windows of one split, in order, over the tokens of their documents.

    `tokens` (t,) int32 holds text without special tokens; window i is its slice of `lengths[i]`
    tokens from `offsets[i]`, framed by [CLS] where `cls` and eos where `eos`. Its first
    `prompts[i]` tokens are a prompt. `sentence_ends` (s,) ascends in the coordinates of `tokens`;
    those of window i behind its prompt are [first_ends[i], stop_ends[i]). `keys` (w,) uint64 are
    the documents' keys, `numbers` the windows' numbers in their documents, `starts` the places of
    their first tokens there, `documents` indices into the item's documents, and `objectives`
    indices into the recipe's objectives by name. All but `tokens` and `keys` are int64.
    """

    tokens: NDArray[np.int32]
    sentence_ends: Ints
    offsets: Ints
    lengths: Ints
    prompts: Ints
    first_ends: Ints
    stop_ends: Ints
    keys: NDArray[np.uint64]
    numbers: Ints
    starts: Ints
    documents: Ints
    objectives: Ints
    cls: bool
    eos: bool

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def sizes(self) -> Ints:
        """Tokens of each window, (w,), [CLS] and eos included."""
        return self.last + int(self.eos)

    @property
    def first(self) -> Ints:
        """First token of each window that may be hidden, (w,): behind [CLS] and the prompt."""
        return self.prompts + int(self.cls)

    @property
    def last(self) -> Ints:
        """End of each window's text, (w,): where eos stands, if any."""
        return self.lengths + int(self.cls)

    @property
    def maskable(self) -> Ints:
        """Tokens of text that may be hidden, (w,)."""
        return self.last - self.first

    def targets(self, mask_ratio: Any) -> Ints:
        """Tokens to hide at least, (w,): `spans.target_tokens`, by one ratio or by (w,) ratios."""
        return np.asarray(np.maximum(1, (mask_ratio * self.sizes).astype(np.int64)))

    def part(self, chosen: Chosen) -> Self:
        """The windows `chosen`, in that order, over the same tokens."""
        whole = ("tokens", "sentence_ends", "cls", "eos")
        names = [name for name in WindowBatch.__slots__ if name not in whole]
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def window(self, index: int, special: SpecialTokens) -> Window:
        """Window `index` as an object, for the plain definition."""
        offset, length = int(self.offsets[index]), int(self.lengths[index])
        prompt, first = int(self.prompts[index]), int(self.cls)
        text = self.tokens[offset : offset + length]
        head, tail = [special.cls] * first, [special.eos] * int(self.eos)
        inner = self.sentence_ends[self.first_ends[index] : self.stop_ends[index]]
        if not len(inner) or inner[-1] != offset + length:
            inner = np.append(inner, offset + length)
        start = int(self.starts[index])
        return Window(
            tokens=np.concatenate((head, text, tail)).astype(np.int32),
            first=first + prompt,
            last=first + length,
            sentence_ends=inner - offset + first,
            number=int(self.numbers[index]),
            start=start,
            stop=start + length,
            prompt=prompt,
        )


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """The spans of a `WindowBatch`: those of window i are [edges[i], edges[i + 1]), int64.

    `starts`, `stops` are half-open ranges in the window's own coordinates, in part-B order.
    """

    starts: Ints
    stops: Ints
    edges: Ints

    @property
    def counts(self) -> Ints:
        """Spans of each window, (w,)."""
        return np.diff(self.edges)

    @property
    def hidden(self) -> Ints:
        """Tokens in the spans of each window, (w,)."""
        total = np.concatenate(([0], np.cumsum(self.stops - self.starts)))
        return np.diff(total[self.edges])

    def part(self, chosen: Chosen) -> "SpanBatch":
        """The spans of the windows `chosen`, counted from 0 again."""
        counts = self.counts[chosen]
        flat = ranges(self.edges[:-1][chosen], counts)
        return SpanBatch(self.starts[flat], self.stops[flat], edges_of(counts))

    def of(self, index: int) -> list[Span]:
        """The spans of window `index`."""
        inside = slice(int(self.edges[index]), int(self.edges[index + 1]))
        pairs = zip(self.starts[inside].tolist(), self.stops[inside].tolist(), strict=True)
        return [Span(start, stop) for start, stop in pairs]


def merge(parts: Sequence[tuple[Ints, SpanBatch]], num_windows: int) -> SpanBatch:
    """The spans of all windows in order; each part is (indices of its windows, their spans)."""
    counts = np.zeros(num_windows, np.int64)
    for chosen, spans in parts:
        counts[chosen] = spans.counts
    edges = edges_of(counts)
    starts, stops = np.empty((2, edges[-1]), np.int64)
    for chosen, spans in parts:
        flat = ranges(edges[chosen], spans.counts)
        starts[flat], stops[flat] = spans.starts, spans.stops
    return SpanBatch(starts, stops, edges)


def ranges(firsts: Ints, sizes: Ints) -> Ints:
    """firsts[0], firsts[0] + 1, ... `sizes[0]` of them, then those of the next, in one array."""
    before = np.cumsum(sizes) - sizes
    return np.asarray(np.arange(int(sizes.sum())) + np.repeat(firsts - before, sizes))


def edges_of(counts: Ints) -> Ints:
    """(w + 1,) Where each of so many begins, and where the last one ends."""
    return np.concatenate(([0], np.cumsum(counts)))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where samples go, each (w,) int64: row, first token in the row, and number in the row."""

    rows: Ints
    firsts: Ints
    places: Ints

    def part(self, chosen: Chosen) -> "Placement":
        """The places of the samples of the windows `chosen`."""
        return Placement(self.rows[chosen], self.firsts[chosen], self.places[chosen])


class Engine(Protocol):
    """Draws spans and writes samples for many windows; pure functions of their arguments.

    `rules` are those of the recipe's objectives, in the order that `WindowBatch.objectives` counts.
    """

    def draw(self, windows: WindowBatch, rules: Sequence[Rules], shuffle: bool) -> SpanBatch:
        """The spans that `objectives.draw_spans` gives for each window."""

    def write(
        self,
        windows: WindowBatch,
        spans: SpanBatch,
        rules: Sequence[Rules],
        placement: Placement,
        rows: "Rows",
    ) -> None:
        """Write the sample of each window into `rows`, as `packing.encode_sample` does."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that are being filled: `values` (n, width) of the format's dtype."""

    values: NDArray[Any]
    format: RowFormat
