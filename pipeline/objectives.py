"""The table of objectives: how each draws its spans, and which form it gives the sample.

Joins `spans.py` and `assemble.py`. To add an objective, write its sampler, add one line to
`OBJECTIVES` and one case to `tests/strategies.py` (docs/objectives.md shows it). `batched.py` and
`compiled.py` make what they know faster; what they do not know runs through `corrupt`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.assemble import (
    Rules,
    assemble_blanks,
    assemble_in_place,
    assemble_next_token,
    assemble_prefix,
    assemble_prefix_lm,
    assemble_sentinels,
)
from pipeline.laws.laws import COMPLETION, DOCUMENT, SENTENCES, SHORT_SPANS, SUFFIX, TOKENS, Law
from pipeline.randomness import Draws, Stream
from pipeline.restore import (
    Restored,
    restore_blanks,
    restore_in_place,
    restore_next_token,
    restore_prefix,
    restore_sentinels,
)
from pipeline.spans import (
    MIN_MASKABLE_TOKENS,
    SpanSampler,
    sample_blanks,
    sample_completion,
    sample_document,
    sample_sentences,
    sample_suffix,
    sample_tokens,
    target_tokens,
)
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.objectives import SpecialTokens
from schemas.samples import Sample, Span, Window


@dataclass(frozen=True)
class Form:
    """How spans become a sample.

    `size` is (window tokens, spans) -> tokens of the sample, and `part_b` (window tokens, spans,
    hidden tokens) -> tokens of its part B; both take arrays, too. `is_shuffled`: part B may have
    its spans in another order than the text.
    """

    name: str
    assemble: Callable[[Window, Sequence[Span], Rules, int], Sample]
    restore: Callable[[Sample, Rules], Restored]
    size: Callable[[Any, Any], Any]
    part_b: Callable[[Any, Any, Any], Any]
    is_shuffled: bool = False


BLANKS = Form(
    "blanks",
    assemble_blanks,
    restore_blanks,
    lambda n, spans: n + 2 * spans,
    lambda n, spans, hidden: hidden + spans,
    is_shuffled=True,
)
PREFIX = Form(
    "prefix", assemble_prefix, restore_prefix, lambda n, _: n + 1, lambda n, spans, hidden: hidden
)
IN_PLACE = Form(
    "in_place", assemble_in_place, restore_in_place, lambda n, _: n, lambda n, spans, hidden: 0 * n
)
NEXT_TOKEN = Form(
    "next_token",
    assemble_next_token,
    restore_next_token,
    lambda n, _: n - 1,
    lambda n, spans, hidden: n - 1,
)
PREFIX_LM = Form(
    "prefix_lm",
    assemble_prefix_lm,
    restore_next_token,
    lambda n, _: n - 1,
    lambda n, spans, hidden: hidden - 1,
)
SENTINELS = Form(
    "sentinels",
    assemble_sentinels,
    restore_sentinels,
    lambda n, spans: n + 2 * spans + 1,
    lambda n, spans, hidden: hidden + spans + 1,
)


@dataclass(frozen=True)
class Objective:
    """One line of the table; `has_one_span` tells bounds on the sample's length.

    Spans are checked against `law` while a data set is built; without one nothing is checked but
    that they do not overlap, and the summary says so.
    """

    sample: SpanSampler
    form: Form
    has_one_span: bool = False
    law: Law | None = None


OBJECTIVES: dict[str, Objective] = {
    "blank": Objective(sample_blanks, BLANKS, law=SHORT_SPANS),
    "sentence": Objective(sample_sentences, BLANKS, law=SENTENCES),
    "document": Objective(sample_document, BLANKS, has_one_span=True, law=DOCUMENT),
    "prefix": Objective(sample_suffix, PREFIX, has_one_span=True, law=SUFFIX),
    "instruction": Objective(sample_completion, PREFIX, has_one_span=True, law=COMPLETION),
    "masked_lm": Objective(sample_blanks, IN_PLACE, law=SHORT_SPANS),
    "masked_tokens": Objective(sample_tokens, IN_PLACE, law=TOKENS),
    "causal_lm": Objective(sample_completion, NEXT_TOKEN, has_one_span=True, law=COMPLETION),
    "prefix_lm": Objective(sample_suffix, PREFIX_LM, has_one_span=True, law=SUFFIX),
    "sentinel_spans": Objective(sample_blanks, SENTINELS, law=SHORT_SPANS),
}
"""Kind of an objective -> its line."""


def is_usable(window: Window) -> bool:
    """True where something can be hidden and something, or a prompt, stays."""
    return window.last - window.first >= (1 if window.prompt else MIN_MASKABLE_TOKENS)


def draw_spans(window: Window, objective: ObjectiveConfig, key: int, shuffle: bool) -> list[Span]:
    """Spans of one usable window in the order of part B: shuffled, or left to right.

    A pure function of its arguments; `key` is the document's key (`randomness.document_key`).
    At least one token is hidden.
    """
    assert is_usable(window), "window too short for a span"
    line = OBJECTIVES[objective.kind]
    spans = line.sample(window, objective, key)
    if shuffle and line.form.is_shuffled:
        Draws(key, window.number, Stream.ORDER).shuffle(spans)
    return spans


def corrupt(window: Window, rules: Rules, key: int, shuffle: bool) -> Sample:
    """One window under one objective: a pure function, so that any sample can be made again."""
    spans = draw_spans(window, rules.objective, key, shuffle)
    sample = OBJECTIVES[rules.objective.kind].form.assemble(window, spans, rules, key)
    return replace(sample, window=window.number, start=window.start, stop=window.stop)


def rules_of(config: BuildConfig, name: str, special: SpecialTokens, vocab_size: int) -> Rules:
    """The rules of the recipe's objective `name`."""
    return Rules(
        config.objective[name],
        special,
        vocab_size,
        config.window_tokens,
        config.block_positions,
        config.sentinels,
    )


def max_spans(window_tokens: int, objective: ObjectiveConfig) -> int:
    """Upper bound on the spans of a window of at most `window_tokens`.

    A sampler takes no span once the target is reached, so there are at most as many as its tokens.
    """
    if OBJECTIVES[objective.kind].has_one_span:
        return 1
    return target_tokens(window_tokens, objective.mask_ratio)


def max_sample_tokens(window_tokens: int, objective: ObjectiveConfig) -> int:
    """Upper bound on the length of a sample from a turn of at most `window_tokens`."""
    bound = window_tokens // objective.samples_per_window
    return int(OBJECTIVES[objective.kind].form.size(bound, max_spans(bound, objective)))
