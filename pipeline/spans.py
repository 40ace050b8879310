"""windows -> spans: one function per objective, in one table.

Stands between the windows and `assemble.py`. A sampler sees the window, its configuration and its
draws, and returns half-open, non-overlapping spans of maskable tokens in the order of part B.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

from pipeline.randomness import Draws, Stream, poisson_thresholds
from schemas.build_config import ObjectiveConfig
from schemas.samples import Span, Window

MIN_MASKABLE_TOKENS = 2
"""A window with fewer maskable tokens is no sample: nothing would be kept beside a span."""

SpanSampler = Callable[[Window, ObjectiveConfig, int], list[Span]]


def draw_spans(
    window: Window, objective: ObjectiveConfig, key: int, shuffle: bool = True
) -> list[Span]:
    """Spans of one window in the order of part B: shuffled, or left to right.

    A pure function of its arguments; `key` is the document's key (`randomness.document_key`).
    At least one token is masked. The window must have `MIN_MASKABLE_TOKENS` maskable tokens.
    """
    assert window.last - window.first >= MIN_MASKABLE_TOKENS, "window too short for a span"
    spans = sorted(SAMPLERS[objective.kind](window, objective, key))
    if shuffle:
        Draws(key, window.number, Stream.ORDER).shuffle(spans)
    return spans


def target_tokens(window_tokens: int, mask_ratio: float) -> int:
    """Tokens to mask at least: int(ratio x window), [CLS] and eos counted, never below one."""
    return max(1, int(mask_ratio * window_tokens))


def sample_blanks(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """Short blanks (GLM's [MASK] objective): Poisson lengths, a kept token between neighbours.

    Lengths are drawn until `target_tokens` are covered. A length that does not fit is shortened to
    the longest that leaves one kept token between spans, and one in all; in windows of 32 tokens
    and more that does not happen in practice. Places as in the reference (blocklm_utils.py:103).
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
    thresholds = _thresholds(objective.mean_span_tokens, objective.max_span_tokens)
    target = target_tokens(len(window.tokens), objective.mask_ratio)
    lengths: list[int] = []
    masked = 0
    while masked < target:
        room = maskable - masked - max(len(lengths), 1)
        if room < 1:
            break
        length = min(bisect_right(thresholds, draws.bits32()) + 1, room)
        lengths.append(length)
        masked += length
    return lengths


@lru_cache(maxsize=64)
def _thresholds(mean: float, max_value: int) -> list[int]:
    return poisson_thresholds(mean, max_value)


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
    return spans


def sample_document(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """One span of `min_span_ratio`..1 of the window, its length and then its place uniform."""
    maskable = window.last - window.first
    shortest = min(max(1, int(objective.min_span_ratio * len(window.tokens))), maskable)
    length = shortest + Draws(key, window.number, Stream.LENGTHS).below(maskable - shortest + 1)
    free = maskable - length
    start = window.first + Draws(key, window.number, Stream.PLACES).below(free + 1)
    return [Span(start, start + length)]


SAMPLERS: dict[str, SpanSampler] = {
    "blank": sample_blanks,
    "sentence": sample_sentences,
    "document": sample_document,
    "masked_lm": sample_blanks,
}
"""Kind of an objective -> its sampler; the one place to add an objective."""


def max_sample_tokens(window_tokens: int, objective: ObjectiveConfig) -> int:
    """Upper bound on the length of a sample from a window of at most `window_tokens`.

    Each span adds a mask and a start token; a sampler takes no span once the target is reached, so
    there are at most as many spans as target tokens, and one for a document span.
    """
    if objective.kind == "masked_lm":
        return window_tokens
    if objective.kind == "document":
        return window_tokens + 2
    return window_tokens + 2 * target_tokens(window_tokens, objective.mask_ratio)
