"""spans -> sample: the forms a sample can take, each with its inverse.

Stands between `spans.py` and `packing.py`. The layout of the blanks is that of section 2.1 of the
GLM paper with the reference's numbering from 0 (docs/sample-format.md has the worked example).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.randomness import Draws, Stream, threshold
from schemas.build_config import ObjectiveConfig
from schemas.objectives import IGNORE_INDEX, SpecialTokens
from schemas.samples import Sample, Span, Window

Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides a sample beside the window, its spans and its key: constants of an objective.

    `window_tokens` bounds positions; with `sentinels` it is the position of part B. `vocab_size`
    bounds the tokens put in place of others.
    """

    objective: ObjectiveConfig
    special: SpecialTokens
    vocab_size: int
    window_tokens: int
    block_positions: bool = True
    sentinels: bool = False

    @property
    def mask(self) -> int:
        """The mask token of the objective."""
        return self.special.mask_id(self.objective.mask)

    def opening(self, index: int) -> tuple[int, int]:
        """(mask, start) of span `index` in the order of part B."""
        return self.special.sentinel(index) if self.sentinels else (self.mask, self.special.start)


def assemble_blanks(window: Window, spans: Sequence[Span], rules: Rules, key: int) -> Sample:
    """GLM's form: one mask for each span in part A; part B is, per span, a start token and the
    span's tokens, labelled with the span's tokens and the end token.

    `spans` stand in the order of part B. Length: n + 2 x spans.
    """
    masks = {span.start: rules.opening(index)[0] for index, span in enumerate(spans)}
    source, place_of = _part_a(window.tokens, spans, masks)
    offset = _offset(window, len(source) - 1, rules, key)
    noise = Draws(key, window.number, Stream.NOISE)
    noisy = threshold(rules.objective.noise_ratio)
    tokens, labels = list(source), [IGNORE_INDEX] * len(source)
    positions: list[int] = list(range(offset, offset + len(source)))
    blocks = [0] * len(source)
    hidden = 0
    for index, span in enumerate(spans):
        inside = window.tokens[span.start : span.stop].tolist()
        tokens.append(rules.opening(index)[1])
        for number, token in enumerate(inside, hidden):
            tokens.append(rules.special.noise if noise.bits32_at(number) < noisy else token)
        hidden += len(inside)
        labels += [*inside, rules.special.end]
        place = rules.window_tokens if rules.sentinels else offset + place_of[span.start]
        positions += [place] * (len(inside) + 1)
        blocks += range(1, len(inside) + 2) if rules.block_positions else [1] * (len(inside) + 1)
    return _sample((tokens, labels, positions, blocks), len(source))


def assemble_prefix(window: Window, spans: Sequence[Span], rules: Rules, key: int) -> Sample:
    """The prefix form: part A is what stands before the span and one mask; part B the rest.

    The last token of the window is the last label and never an input; there is no end token.
    Length: n + 1. Source: blocklm_utils.py:397-444 of the reference.
    """
    (span,) = spans
    source = [*window.tokens[: span.start].tolist(), rules.mask]
    rest = window.tokens[span.start :].tolist()
    place = len(source) - 1
    offset = _offset(window, place, rules, key)
    blocks = range(1, len(rest) + 1) if rules.block_positions else [1] * len(rest)
    columns = (
        [*source, rules.special.start, *rest[:-1]],
        [IGNORE_INDEX] * len(source) + rest,
        [*range(offset, offset + len(source)), *[offset + place] * len(rest)],
        [0] * len(source) + list(blocks),
    )
    return _sample(columns, len(source))


def assemble_in_place(window: Window, spans: Sequence[Span], rules: Rules, key: int) -> Sample:
    """Masked language modelling: part A is the window, part B is empty, labels under the spans.

    Each span as a whole becomes masks (`replace_ratio`), random ordinary tokens (`random_ratio`) or
    stays as it is: BERT's 80/10/10 where spans are single tokens, SpanBERT's where they are not,
    the reference's baseline at 1 and 0. Length: n.
    """
    tokens, labels = window.tokens.tolist(), [IGNORE_INDEX] * len(window.tokens)
    replace = Draws(key, window.number, Stream.REPLACE)
    random = Draws(key, window.number, Stream.RANDOM_TOKENS)
    masked = threshold(rules.objective.replace_ratio)
    randomised = masked + threshold(rules.objective.random_ratio)
    hidden = 0
    for index, span in enumerate(sorted(spans)):
        draw = replace.bits32_at(index)
        for place in range(span.start, span.stop):
            labels[place] = tokens[place]
            if draw < masked:
                tokens[place] = rules.mask
            elif draw < randomised:
                tokens[place] = _ordinary_token(random, hidden, rules)
            hidden += 1
    offset = _offset(window, len(tokens) - 1, rules, key)
    positions = range(offset, offset + len(tokens))
    return _sample((tokens, labels, positions, [0] * len(tokens)), len(tokens))


def assemble_next_token(window: Window, spans: Sequence[Span], rules: Rules, key: int) -> Sample:
    """Causal language modelling (GPT): every token is an input of part B, labelled with the next.

    Labels begin with the first token of the one span: a prompt has none. Length: n - 1.
    """
    return _shifted(window, spans, (0, rules), key)


def assemble_prefix_lm(window: Window, spans: Sequence[Span], rules: Rules, key: int) -> Sample:
    """Prefix language modelling: as `assemble_next_token`, but what stands before the span is
    part A, seen in both directions; its last token is labelled with the span's first. Length n - 1.
    """
    return _shifted(window, spans, (spans[0].start, rules), key)


def _shifted(window: Window, spans: Sequence[Span], how: tuple[int, Rules], key: int) -> Sample:
    (span,), (boundary, rules) = spans, how
    tokens = window.tokens.tolist()
    size = len(tokens) - 1
    labels = [IGNORE_INDEX] * (span.start - 1) + tokens[span.start :]
    offset = _offset(window, size - 1, rules, key)
    positions = range(offset, offset + size)
    return _sample((tokens[:-1], labels, positions, [0] * size), boundary)


def assemble_sentinels(window: Window, spans: Sequence[Span], rules: Rules, key: int) -> Sample:
    """T5's form: each span becomes its own mask in part A; part B is one stream, left to right:
    start, then per span its mask and its tokens; the last label is the end token.

    Part B counts its own places in the block positions, as a decoder does; its positions are the
    constant `window_tokens`. Length: n + 2 x spans + 1. Source: Raffel et al. 2020, section 3.1.4.
    """
    spans = sorted(spans)
    masks = {span.start: rules.special.sentinel(index)[0] for index, span in enumerate(spans)}
    source, _ = _part_a(window.tokens, spans, masks)
    stream: list[int] = []
    for span in spans:
        stream += [masks[span.start], *window.tokens[span.start : span.stop].tolist()]
    offset = _offset(window, len(source) - 1, rules, key)
    size = len(stream) + 1
    columns = (
        [*source, rules.special.start, *stream],
        [IGNORE_INDEX] * len(source) + [*stream, rules.special.end],
        [*range(offset, offset + len(source)), *[rules.window_tokens] * size],
        [0] * len(source) + list(range(1, size + 1)),
    )
    return _sample(columns, len(source))


def _part_a(
    tokens: Tokens, spans: Sequence[Span], masks: dict[int, int]
) -> tuple[list[int], dict[int, int]]:
    """Part A, and the place of each span's mask in it by the span's start."""
    part, place_of, kept_from = [], {}, 0
    for span in sorted(spans):
        part += tokens[kept_from : span.start].tolist()
        place_of[span.start] = len(part)
        part.append(masks[span.start])
        kept_from = span.stop
    return part + tokens[kept_from:].tolist(), place_of


def _offset(window: Window, last_position: int, rules: Rules, key: int) -> int:
    """What `random_positions` adds to all positions, the last of which stays below the window."""
    if not rules.objective.random_positions:
        return 0
    draws = Draws(key, window.number, Stream.OFFSET)
    return draws.below(rules.window_tokens - last_position)


def _ordinary_token(random: Draws, index: int, rules: Rules) -> int:
    """A token that is not special, uniformly."""
    specials = rules.special.ids(rules.vocab_size)
    token = random.below_at(index, rules.vocab_size - len(specials))
    for special in specials:
        token += token >= special
    return token


def _sample(columns: Sequence[Sequence[int]], boundary: int) -> Sample:
    """A sample of tokens, labels, positions and block positions."""
    tokens, labels, positions, blocks = (np.array(column, np.int32) for column in columns)
    return Sample(tokens, labels, positions, blocks, boundary=boundary)


def span_labels(sample: Sample, end: int) -> Iterator[tuple[int, int]]:
    """(first, stop) of each span's tokens of part B, its start token first; the end label last."""
    first = sample.boundary
    for place in np.flatnonzero(sample.labels[first:] == end).tolist():
        yield first, sample.boundary + place + 1
        first = sample.boundary + place + 1
