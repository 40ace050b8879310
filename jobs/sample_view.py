"""sample -> what a person looks at: the text it came from, its spans, and where each one stands.

Stands between `pipeline/packing.py`, which reads samples out of a row, and the two pictures of a
row, `inspect_terminal.py` and `inspect_page.py`. All text that leaves this module is `visible`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.pages.visible_text import Run, text_runs
from jobs.visible import visible
from pipeline.assemble import Rules, Tokens
from pipeline.objectives import OBJECTIVES, Form
from pipeline.readers.formats import ARROW, PARQUET, kind_of
from pipeline.restore import SpanPlaces
from pipeline.vocabularies.tokenizer import Tokenizer
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample, Span


class Origin(NamedTuple):
    """Where a sample comes from: `start`, `stop` are bytes of the decompressed source or rows of a
    table, half-open; `first_token`, `stop_token` tokens of the document without [CLS] and eos;
    `language` is empty when unknown."""

    document: str
    source: str
    start: int
    stop: int
    window: int
    first_token: int
    stop_token: int
    language: str = ""

    @property
    def unit(self) -> str:
        """What `start` and `stop` count: `rows` of a table, else `bytes`."""
        return "rows" if kind_of(self.source) in (PARQUET, ARROW) else "bytes"

    @property
    def place(self) -> str:
        """The part of the source, with its unit."""
        return f"{self.unit} {self.start}..{self.stop}"


@dataclass(frozen=True)
class SampleView:
    """One sample with all that is needed to show it; `window` is the restored text's tokens."""

    name: str
    rules: Rules
    sample: Sample
    origin: Origin
    window: Tokens
    spans: tuple[SpanPlaces, ...]
    tokenizer: Tokenizer

    @property
    def form(self) -> Form:
        """The sample's form."""
        return OBJECTIVES[self.rules.objective.kind].form

    @property
    def length(self) -> int:
        """Tokens of part A and part B together."""
        return len(self.sample.tokens)

    @property
    def num_hidden(self) -> int:
        """Tokens of the window that are to be predicted."""
        return sum(span.hidden.stop - span.hidden.start for span in self.spans)

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """(length,): number of the span that each input belongs to, 0 for none."""
        places = [(part, span.number) for span in self.spans for part in (span.blank, span.inputs)]
        return _owners(self.length, places)

    @cached_property
    def label_owners(self) -> NDArray[np.int64]:
        """(length,): number of the span that each label belongs to, 0 for none."""
        return _owners(self.length, [(span.labels, span.number) for span in self.spans])

    @cached_property
    def pieces(self) -> list[str]:
        """The inputs as people write them."""
        return [self._piece(token) for token in self.sample.tokens.tolist()]

    @cached_property
    def labels(self) -> list[str]:
        """The labels likewise; empty where nothing is predicted."""
        return [
            "" if label == IGNORE_INDEX else self._piece(label)
            for label in self.sample.labels.tolist()
        ]

    @cached_property
    def masks(self) -> list[str]:
        """The tokens that stand for blanks in part A, each once; none where nothing does."""
        special = set(self.rules.special.ids(self.rules.vocab_size))
        blanks = np.flatnonzero(self.owners[: self.sample.boundary])
        found = self.sample.tokens[blanks].tolist()
        return list(dict.fromkeys(self._piece(token) for token in found if token in special))

    def text(self) -> list[Run]:
        """The original text, its hidden parts numbered."""
        places = [(span.hidden, span.number) for span in self.spans]
        return self._runs(self.window, _owners(len(self.window), places))

    def part_a(self) -> list[Run]:
        """Part A as the model reads it."""
        return self._part(Span(0, self.sample.boundary))

    def reads(self, span: SpanPlaces) -> list[Run]:
        """What the model reads of one span: its tokens of part B, or where it stands in part A."""
        part = span.inputs if span.inputs.stop > span.inputs.start else span.blank
        return _or_pieces(self._part(part), self.pieces[part.start : part.stop], span.number)

    def predicts(self, span: SpanPlaces) -> list[Run]:
        """What the model is to predict for one span."""
        inside = slice(span.labels.start, span.labels.stop)
        runs = self._runs(
            self.sample.labels[inside], np.full(inside.stop - inside.start, span.number)
        )
        return _or_pieces(runs, self.labels[inside], span.number)

    def fate(self, span: SpanPlaces) -> str:
        """What became of a span that is predicted where it stands: masked, replaced or kept."""
        inputs = self.sample.tokens[span.blank.start : span.blank.stop]
        if (inputs == self.rules.mask).all():
            return "masked"
        labels = self.sample.labels[span.blank.start : span.blank.stop]
        if (inputs == labels).all():
            return "kept"
        return "partly masked" if (inputs == self.rules.mask).any() else "replaced at random"

    def _part(self, part: Span) -> list[Run]:
        inside = slice(part.start, part.stop)
        return self._runs(self.sample.tokens[inside], self.owners[inside])

    def _piece(self, token: int) -> str:
        return visible(self.tokenizer.piece(token))

    def _runs(self, tokens: Tokens, owners: NDArray[np.int64]) -> list[Run]:
        special = set(self.rules.special.ids(self.rules.vocab_size))
        return text_runs(tokens.tolist(), owners.tolist(), special, self.tokenizer)


@dataclass(frozen=True)
class RowView:
    """One row with where it is: row `index` of `shard`, built in pass `pass_number`."""

    dataset: str
    row: int
    split: str
    shard: str
    index: int
    pass_number: int
    row_tokens: int
    samples: tuple[SampleView, ...]

    @property
    def used_tokens(self) -> int:
        """Tokens that are no padding."""
        return sum(sample.length for sample in self.samples)


def view_sample(
    sample: Sample, name: str, rules: Rules, origin: Origin, tokenizer: Tokenizer
) -> SampleView:
    """`sample` of the objective `name`, restored; the sample says everything about its window."""
    form = OBJECTIVES[rules.objective.kind].form
    window, hidden = form.restore(sample, rules)
    spans = tuple(form.locate(sample, hidden))
    return SampleView(name, rules, sample, origin, window, spans, tokenizer)


def _or_pieces(runs: list[Run], pieces: Sequence[str], number: int) -> list[Run]:
    """`runs`, or the pieces one by one where the ordinary tokens among them have no text of their
    own, as the mark of a space alone."""
    special = [run.text for run in runs if run.is_special]
    has_text = any(run.text.strip() for run in runs if not run.is_special)
    if has_text or len(special) == len(pieces):
        return runs
    return [Run(piece, number, piece in special) for piece in pieces]


def _owners(length: int, places: Iterable[tuple[Span, int]]) -> NDArray[np.int64]:
    owners = np.zeros(length, np.int64)
    for part, number in places:
        owners[part.start : part.stop] = number
    return owners
