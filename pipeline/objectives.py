"""The table of objectives: how each draws its spans, and which form it gives the sample.

Joins `spans.py` and `assemble.py`. To add an objective, write its sampler, add one line to
`OBJECTIVES` and one case to `tests/strategies.py` (docs/objectives.md shows it). The fast engines
do at once for many windows what they know; what they do not know runs through `engines/plain.py`.
"""

from collections.abc import Callable, Iterator, Sequence
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
from pipeline.laws.drawn import Drawn
from pipeline.laws.laws import COMPLETION, DOCUMENT, SENTENCES, SHORT_SPANS, SUFFIX, TOKENS, Law
from pipeline.laws.masks import masked_in_place, no_masks, one_mask_a_span, two_masks_a_span
from pipeline.randomness import Draws, Stream
from pipeline.restore import (
    Restored,
    SpanPlaces,
    locate_blanks,
    locate_in_place,
    locate_next_token,
    locate_prefix,
    locate_sentinels,
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


@dataclass(frozen=True, kw_only=True)
class Form:
    """How spans become a sample: everything that differs between forms, and the only place for it.

    Numbers are functions of (window tokens, spans, hidden tokens) or of those of them that they
    take, for one sample or for arrays: `size` tokens, `part_b` tokens of part B and `labels`.
    `masks` counts mask tokens in many samples. `restore` and `locate` undo `assemble`; `note` tells
    a person what is particular. `is_shuffled`: part B may have its spans in another order than the
    text. `hides_eos`: spans may reach beyond the text. Spans have masks of their own always
    (`has_sentinels`) or where the recipe says so (`can_have_sentinels`).
    """

    assemble: Callable[[Window, Sequence[Span], Rules, int], Sample]
    restore: Callable[[Sample, Rules], Restored]
    locate: Callable[[Sample, Sequence[Span]], Iterator[SpanPlaces]]
    size: Callable[[Any, Any], Any]
    part_b: Callable[[Any, Any, Any], Any]
    labels: Callable[[Any, Any], Any]
    masks: Callable[[Drawn, Rules], int]
    note: str
    is_shuffled: bool = False
    hides_eos: bool = False
    has_sentinels: bool = False
    can_have_sentinels: bool = False


BLANKS = Form(
    assemble=assemble_blanks,
    restore=restore_blanks,
    locate=locate_blanks,
    size=lambda n, spans: n + 2 * spans,
    part_b=lambda n, spans, hidden: hidden + spans,
    labels=lambda spans, hidden: hidden + spans,
    masks=one_mask_a_span,
    note="Each span leaves one mask token in part A; part B gives the spans back, each from its "
    "start token to the end token.",
    is_shuffled=True,
    can_have_sentinels=True,
)
PREFIX = Form(
    assemble=assemble_prefix,
    restore=restore_prefix,
    locate=locate_prefix,
    size=lambda n, spans: n + 1,
    part_b=lambda n, spans, hidden: hidden,
    labels=lambda spans, hidden: hidden,
    masks=one_mask_a_span,
    note="Only the end of the text is hidden: part A is its beginning and one mask token, part B "
    "the rest. There is no end token: the last token of the text is the last label.",
    hides_eos=True,
)
IN_PLACE = Form(
    assemble=assemble_in_place,
    restore=restore_in_place,
    locate=locate_in_place,
    size=lambda n, spans: n,
    part_b=lambda n, spans, hidden: 0 * n,
    labels=lambda spans, hidden: hidden,
    masks=masked_in_place,
    note="A masked language model. Nothing is taken out and there is no part B: hidden tokens are "
    "predicted where they stand, whether they were masked, replaced or kept.",
)
NEXT_TOKEN = Form(
    assemble=assemble_next_token,
    restore=restore_next_token,
    locate=locate_next_token,
    size=lambda n, spans: n - 1,
    part_b=lambda n, spans, hidden: n - 1,
    labels=lambda spans, hidden: hidden,
    masks=no_masks,
    note="A causal language model. There is no part A: every token is predicted from those before "
    "it, so a label is the next token. A prompt, if there is one, has no labels.",
    hides_eos=True,
)
PREFIX_LM = Form(
    assemble=assemble_prefix_lm,
    restore=restore_next_token,
    locate=locate_next_token,
    size=lambda n, spans: n - 1,
    part_b=lambda n, spans, hidden: hidden - 1,
    labels=lambda spans, hidden: hidden,
    masks=no_masks,
    note="A prefix language model. Part A is the beginning of the text as it is, without a mask "
    "token; from its last token on, each token predicts the next.",
    hides_eos=True,
)
SENTINELS = Form(
    assemble=assemble_sentinels,
    restore=restore_sentinels,
    locate=locate_sentinels,
    size=lambda n, spans: n + 2 * spans + 1,
    part_b=lambda n, spans, hidden: hidden + spans + 1,
    labels=lambda spans, hidden: hidden + spans + 1,
    masks=two_masks_a_span,
    note="T5's form. Each span leaves a mask token of its own; part B is one stream from left to "
    "right in which that mask token announces the span. Block positions count through part B.",
    has_sentinels=True,
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
