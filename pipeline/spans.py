"""windows -> spans: how each objective chooses what to hide, one window at a time.

Stands between the windows and `assemble.py`. A sampler sees the window, its configuration and the
document's key, and returns half-open, ascending spans that do not overlap. These plain functions
are the definition; `engines/batched.py` and `engines/compiled.py` do the same for many windows, bit
for bit.
"""

from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise

from pipeline.randomness import Draws, Stream, length_thresholds, threshold
from schemas.build_config import ObjectiveConfig
from schemas.samples import Span, Window

MIN_MASKABLE_TOKENS = 2
"""A window with fewer maskable tokens and no prompt is no sample: nothing would be kept."""

SpanSampler = Callable[[Window, ObjectiveConfig, int], list[Span]]


def target_tokens(window_tokens: int, mask_ratio: float) -> int:
    """Tokens to mask at least: int(ratio x window), [CLS] and eos counted, never below one."""
    return max(1, int(mask_ratio * window_tokens))


def sample_blanks(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """Short spans of drawn lengths, with a kept token between neighbours (GLM's blanks).

    Lengths are drawn until `target_tokens` are covered; with probability `single_span_ratio` there
    is one span alone. A length that does not fit is shortened to the longest that leaves one kept
    token between spans, and one in all; in windows of 32 tokens and more that does not happen in
    practice. Places as in the reference (blocklm_utils.py:103).
    """
    maskable = window.last - window.first
    lengths = _draw_lengths(window, objective, key, maskable)
    places = Draws(key, window.number, Stream.PLACES)
    free = maskable - sum(lengths) - (len(lengths) - 1)
    starts = sorted(places.below(free + 1) for _ in lengths)
    spans, offset = [], window.first
    for start, length in zip(starts, lengths, strict=True):
        spans.append(Span(offset + start, offset + start + length))
        offset += length + 1
    return spans


def _draw_lengths(window: Window, objective: ObjectiveConfig, key: int, maskable: int) -> list[int]:
    draws = Draws(key, window.number, Stream.LENGTHS)
    single = Draws(key, window.number, Stream.SINGLE).bits32()
    thresholds = length_thresholds(
        objective.span_lengths, objective.mean_span_tokens, objective.max_span_tokens
    )
    target = target_tokens(len(window.tokens), objective.mask_ratio)
    if single < threshold(objective.single_span_ratio):
        target = 1
    lengths: list[int] = []
    masked = 0
    while masked < target:
        room = maskable - masked - max(len(lengths), 1)
        if room < 1:
            break
        length = min(bisect_right(thresholds, draws.bits32()) + 1, room)
        lengths.append(length)
        masked += length
    return lengths or [1]


def sample_sentences(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """Whole sentences in random order until `target_tokens` are covered; they may touch."""
    edges = [window.first, *window.sentence_ends.tolist()]
    sentences = [Span(start, stop) for start, stop in pairwise(edges)]
    Draws(key, window.number, Stream.PLACES).shuffle(sentences)
    target = target_tokens(len(window.tokens), objective.mask_ratio)
    spans, masked = [], 0
    for sentence in sentences:
        if masked >= target:
            break
        spans.append(sentence)
        masked += sentence.stop - sentence.start
    return sorted(spans)


def sample_document(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """One span of `min_span_ratio`..1 of the window, its length and then its place uniform."""
    maskable = window.last - window.first
    shortest = min(max(1, int(objective.min_span_ratio * len(window.tokens))), maskable)
    length = shortest + Draws(key, window.number, Stream.LENGTHS).below(maskable - shortest + 1)
    free = maskable - length
    start = window.first + Draws(key, window.number, Stream.PLACES).below(free + 1)
    return [Span(start, start + length)]


def sample_suffix(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """The window's end, eos included, from a place that leaves `min_span_ratio`..1 of it hidden.

    At least one token of text is hidden, and one of text or the whole prompt stays.
    """
    size = len(window.tokens)
    longest = size - (window.first if window.prompt else window.first + 1)
    shortest = max(size - window.last + 1, int(objective.min_span_ratio * size))
    shortest = min(shortest, longest)
    length = shortest + Draws(key, window.number, Stream.LENGTHS).below(longest - shortest + 1)
    return [Span(size - length, size)]


def sample_completion(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """Everything behind [CLS] and the prompt, eos included; nothing is drawn."""
    return [Span(max(window.first, 1), len(window.tokens))]


def sample_tokens(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """Single tokens, `target_tokens` of them chosen uniformly without replacement (BERT).

    One token stays at least. A partial Fisher-Yates from the front: draw i exchanges place i.
    """
    places = list(range(window.first, window.last))
    draws = Draws(key, window.number, Stream.PLACES)
    count = min(target_tokens(len(window.tokens), objective.mask_ratio), max(1, len(places) - 1))
    for first in range(count):
        other = first + draws.below(len(places) - first)
        places[first], places[other] = places[other], places[first]
    return [Span(place, place + 1) for place in sorted(places[:count])]
