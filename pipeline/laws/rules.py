"""What every single window must keep, for each way of drawing spans: no chance, no exceptions.

Used by `laws.py`. Each rule takes windows whose spans are sound (`Drawn.is_sound`) and returns
(w,) booleans, false where the rule is broken, which would be a fault of a sampler.
"""

import numpy as np

from pipeline.laws.drawn import Bools, Drawn
from pipeline.window_batch import Ints
from schemas.build_config import ObjectiveConfig


def keep_short_spans(drawn: Drawn, objective: ObjectiveConfig) -> Bools:
    """Spans of at most `max_span_tokens`, a kept token between neighbours, the target covered.

    No span more than the target needs. Less is covered only by the one span of
    `single_span_ratio`, and where no room is left (`spans._draw_lengths`).
    """
    gaps = np.ones(len(drawn.starts), bool)
    is_neighbour = drawn.owners[1:] == drawn.owners[:-1]
    gaps[1:] = ~is_neighbour | (drawn.starts[1:] > drawn.stops[:-1])
    is_allowed = gaps & (drawn.lengths <= objective.max_span_tokens)
    target = drawn.windows.targets(objective.mask_ratio)
    room = drawn.windows.maskable - drawn.hidden - drawn.counts
    is_covered = np.asarray((drawn.hidden >= target) | (room < 1))
    if objective.single_span_ratio > 0:
        is_covered |= drawn.counts == 1
    is_needed = drawn.hidden - drawn.longest < target
    is_kept = drawn.has_only(is_allowed & _in_text(drawn)) & is_covered
    return np.asarray(is_kept & is_needed)


def keep_sentences(drawn: Drawn, objective: ObjectiveConfig) -> Bools:
    """Whole sentences; the target covered, or every sentence hidden; none more than it needs."""
    numbers, edges = sentence_numbers(drawn), sentence_edges(drawn)
    target = drawn.windows.targets(objective.mask_ratio)
    is_whole = (edges[0] == drawn.starts) & (edges[1] == drawn.stops) & (numbers >= 0)
    is_covered = (drawn.hidden >= target) | (drawn.hidden == drawn.windows.maskable)
    is_needed = drawn.hidden - drawn.longest < target
    return np.asarray(drawn.has_only(is_whole) & is_covered & is_needed)


def keep_document(drawn: Drawn, objective: ObjectiveConfig) -> Bools:
    """One span inside the text, of `min_span_ratio` of the window at least."""
    is_single = (drawn.counts == 1) & drawn.has_only(_in_text(drawn))
    return np.asarray(is_single & (drawn.hidden >= shortest_document(drawn, objective)))


def keep_suffix(drawn: Drawn, objective: ObjectiveConfig) -> Bools:
    """One span up to the window's end, within the bounds of `suffix_bounds`."""
    shortest, longest = suffix_bounds(drawn, objective)
    is_within: Bools = (shortest <= drawn.hidden) & (drawn.hidden <= longest)
    return _ends_window(drawn) & is_within


def keep_completion(drawn: Drawn, objective: ObjectiveConfig) -> Bools:
    """One span: everything behind [CLS] and the prompt, and never the window's first token."""
    start = np.maximum(drawn.windows.first, 1)
    is_all: Bools = drawn.hidden == drawn.windows.sizes - start
    return _ends_window(drawn) & is_all


def keep_tokens(drawn: Drawn, objective: ObjectiveConfig) -> Bools:
    """Single tokens of the text: the target exactly, or all but one."""
    count = np.minimum(
        drawn.windows.targets(objective.mask_ratio), np.maximum(1, drawn.windows.maskable - 1)
    )
    is_exact: Bools = drawn.counts == count
    return drawn.has_only(_in_text(drawn) & (drawn.lengths == 1)) & is_exact


def shortest_document(drawn: Drawn, objective: ObjectiveConfig) -> Ints:
    """(w,) Shortest span of the document objective."""
    ratio = (objective.min_span_ratio * drawn.windows.sizes).astype(np.int64)
    return np.asarray(np.minimum(np.maximum(1, ratio), drawn.windows.maskable))


def suffix_bounds(drawn: Drawn, objective: ObjectiveConfig) -> tuple[Ints, Ints]:
    """(w,) Shortest and longest hidden end: a token of text hidden; one, or the prompt, kept."""
    longest = drawn.windows.sizes - drawn.windows.first - (drawn.windows.prompts == 0)
    ratio = (objective.min_span_ratio * drawn.windows.sizes).astype(np.int64)
    shortest = np.maximum(drawn.windows.sizes - drawn.windows.last + 1, ratio)
    return np.minimum(shortest, longest), longest


def num_sentences(drawn: Drawn) -> Ints:
    """(w,) Sentences, and pieces of them, behind the prompt of each window."""
    windows = drawn.windows
    number = windows.stop_ends - windows.first_ends
    last_end = np.append(windows.sentence_ends, -1)[windows.stop_ends - 1]
    ends_inside = (number > 0) & (last_end == windows.offsets + windows.lengths)
    return np.asarray(number + ~ends_inside)


def sentence_numbers(drawn: Drawn) -> Ints:
    """(s,) Number in its window of the sentence in which each span ends."""
    windows = drawn.windows
    shift = (windows.offsets - int(windows.cls))[drawn.owners]
    after = np.searchsorted(windows.sentence_ends, drawn.stops + shift, side="left")
    return after - windows.first_ends[drawn.owners]


def sentence_edges(drawn: Drawn) -> tuple[Ints, Ints]:
    """(s,) Start and stop of those sentences, in the windows' coordinates."""
    windows, owners = drawn.windows, drawn.owners
    shift = (windows.offsets - int(windows.cls))[owners]
    ends = np.append(windows.sentence_ends, -1)
    number = sentence_numbers(drawn)
    place = windows.first_ends[owners] + number
    before = np.where(number > 0, ends[place - 1] - shift, drawn.windows.first[owners])
    behind = np.where(
        place < windows.stop_ends[owners], ends[place] - shift, drawn.windows.last[owners]
    )
    return before, behind


def _in_text(drawn: Drawn) -> Bools:
    """(s,) True for spans within the text that may be hidden."""
    first, last = drawn.windows.first[drawn.owners], drawn.windows.last[drawn.owners]
    return np.asarray((first <= drawn.starts) & (drawn.stops <= last))


def _ends_window(drawn: Drawn) -> Bools:
    """(w,) True for one span that reaches the window's end."""
    is_last = drawn.stops == drawn.windows.sizes[drawn.owners]
    return np.asarray((drawn.counts == 1) & drawn.has_only(is_last))
