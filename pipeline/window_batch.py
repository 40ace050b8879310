"""Many windows, and their spans, as arrays: what the engines take and give.

Stands between `windows.py`, which cuts them, and the engines `plain.py`, `batched.py` and
`compiled.py`, which agree bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.assemble import Rules
from schemas.objectives import SpecialTokens
from schemas.samples import RowFormat, Span, Window

Ints = NDArray[np.int64]


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
        return self.lengths + int(self.cls) + int(self.eos)

    def part(self, inside: slice) -> "WindowBatch":
        """The windows `inside`, over the same tokens."""
        names = [
            name for name in self.__slots__ if name not in ("tokens", "sentence_ends", "cls", "eos")
        ]
        return replace(self, **{name: getattr(self, name)[inside] for name in names})

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

    def part(self, inside: slice) -> "SpanBatch":
        """The spans of the windows `inside`, counted from 0 again."""
        edges = self.edges[inside.start : inside.stop + 1]
        flat = slice(int(edges[0]), int(edges[-1]))
        return SpanBatch(self.starts[flat], self.stops[flat], edges - edges[0])

    def of(self, index: int) -> list[Span]:
        """The spans of window `index`."""
        inside = slice(int(self.edges[index]), int(self.edges[index + 1]))
        pairs = zip(self.starts[inside].tolist(), self.stops[inside].tolist(), strict=True)
        return [Span(start, stop) for start, stop in pairs]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where samples go, each (w,) int64: row, first token in the row, and number in the row."""

    rows: Ints
    firsts: Ints
    places: Ints


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
