"""sample -> window and spans, and where these are: the inverse of each form of `assemble.py`.

Used by inspection, by verification and by the laws: a sample says everything about its window.
Labels are read, not inputs, so that noise on part B hides nothing.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from pipeline.assemble import Rules, Tokens, span_labels
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample, Span

Restored = tuple[Tokens, list[Span]]


def restore_blanks(sample: Sample, rules: Rules) -> Restored:
    """Window and spans in part-B order; blanks are found by position, or by sentinel."""
    hidden = {}
    for index, (first, stop) in enumerate(span_labels(sample, rules.special.end)):
        mask = rules.opening(index)[0]
        if rules.sentinels:
            place = int(np.flatnonzero(sample.tokens[: sample.boundary] == mask)[0])
        else:
            place = int(sample.positions[first] - sample.positions[0])
        assert sample.tokens[place] == mask, "a span without its mask token"
        hidden[place] = sample.labels[first : stop - 1]
    return _refilled(sample, hidden)


def restore_prefix(sample: Sample, rules: Rules) -> Restored:
    """The window, and the one span that ends it."""
    kept = sample.tokens[: sample.boundary - 1]
    window = np.concatenate((kept, sample.labels[sample.boundary :]))
    return window, [Span(len(kept), len(window))]


def restore_in_place(sample: Sample, rules: Rules) -> Restored:
    """The window, and its labelled stretches: touching spans come back as one."""
    masked = sample.labels != IGNORE_INDEX
    edges = np.flatnonzero(np.diff(masked, prepend=False, append=False)).reshape(-1, 2)
    window = np.where(masked, sample.labels, sample.tokens)
    return window, [Span(*edge) for edge in edges.tolist()]


def restore_next_token(sample: Sample, rules: Rules) -> Restored:
    """The window of causal and prefix language models, and the one span that is predicted."""
    window = np.append(sample.tokens, sample.labels[-1])
    labelled = np.flatnonzero(sample.labels != IGNORE_INDEX)
    return window, [Span(int(labelled[0]) + 1, len(window))]


def restore_sentinels(sample: Sample, rules: Rules) -> Restored:
    """The window and the spans, left to right; each stands behind its mask in part B."""
    source, stream = sample.tokens[: sample.boundary], sample.labels[sample.boundary :]
    special, hidden = rules.special, {}
    first_masks = [special.mask, *range(special.first_sentinel, special.ids_stop, 2)]
    openings = np.flatnonzero(np.isin(stream, first_masks)).tolist()
    for first, stop in pairwise([*openings, len(stream) - 1]):
        place = int(np.flatnonzero(source == stream[first])[0])
        hidden[place] = stream[first + 1 : stop]
    return _refilled(sample, hidden)


class SpanPlaces(NamedTuple):
    """Where one span is, as half-open ranges: `hidden` in the window, the others in the sample.

    `blank` is what stands for it in part A, `inputs` its tokens of part B, both perhaps empty;
    `labels` is where it is predicted. Numbers count from 1 in the order of part B.
    """

    number: int
    hidden: Span
    blank: Span
    inputs: Span
    labels: Span


def locate_blanks(sample: Sample, hidden: Sequence[Span]) -> Iterator[SpanPlaces]:
    """Each span has a start token and is predicted from there on, to its end token."""
    return _behind_masks(sample.boundary, hidden, 1)


def locate_prefix(sample: Sample, hidden: Sequence[Span]) -> Iterator[SpanPlaces]:
    """The one span is all of part B."""
    return _behind_masks(sample.boundary, hidden, 0)


def locate_sentinels(sample: Sample, hidden: Sequence[Span]) -> Iterator[SpanPlaces]:
    """Each span has its mask before it, and is predicted from the token before that on."""
    for places in _behind_masks(sample.boundary + 1, hidden, 1):
        first, stop = places.inputs
        yield places._replace(labels=Span(first - 1, stop - 1))


def locate_in_place(sample: Sample, hidden: Sequence[Span]) -> Iterator[SpanPlaces]:
    """Each span stands, and is predicted, where it was."""
    length = len(sample.tokens)
    for number, span in enumerate(hidden, start=1):
        yield SpanPlaces(number, span, span, Span(length, length), span)


def locate_next_token(sample: Sample, hidden: Sequence[Span]) -> Iterator[SpanPlaces]:
    """The one span ends the sample, and is predicted from the token before it on."""
    (span,), length = hidden, len(sample.tokens)
    yield SpanPlaces(1, span, Span(0, 0), Span(span.start, length), Span(span.start - 1, length))


def _behind_masks(first: int, hidden: Sequence[Span], opening: int) -> Iterator[SpanPlaces]:
    """Spans that left a mask in part A and follow in part B from `first` on, each behind
    `opening` tokens of its own."""
    stops = accumulate((stop - start + opening for start, stop in hidden), initial=first)
    for number, (span, inputs) in enumerate(zip(hidden, pairwise(stops), strict=True), start=1):
        shrunk = sum(other.stop - other.start - 1 for other in hidden if other < span)
        blank = Span(span.start - shrunk, span.start - shrunk + 1)
        yield SpanPlaces(number, span, blank, Span(*inputs), Span(*inputs))


def _refilled(sample: Sample, hidden: dict[int, Tokens]) -> Restored:
    """The window with the tokens of `hidden` in place of the masks; its spans in their order."""
    pieces, spans, length = [], {}, 0
    for place in range(sample.boundary):
        piece = hidden.get(place, sample.tokens[place : place + 1])
        pieces.append(piece)
        spans[place] = Span(length, length + len(piece))
        length += len(piece)
    return np.concatenate(pieces), [spans[place] for place in hidden]
