"""sample -> window and spans: the inverse of each form of `assemble.py`.

Used by inspection, by verification and by the laws: a sample says everything about its window.
Labels are read, not inputs, so that noise on part B hides nothing.
"""

from itertools import pairwise

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


def _refilled(sample: Sample, hidden: dict[int, Tokens]) -> Restored:
    """The window with the tokens of `hidden` in place of the masks; its spans in their order."""
    pieces, spans, length = [], {}, 0
    for place in range(sample.boundary):
        piece = hidden.get(place, sample.tokens[place : place + 1])
        pieces.append(piece)
        spans[place] = Span(length, length + len(piece))
        length += len(piece)
    return np.concatenate(pieces), [spans[place] for place in hidden]
