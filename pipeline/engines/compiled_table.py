"""The objectives of a recipe as a table of numbers, which is all that kernels see of them.

Stands between `objectives.py` and `compiled.py`; here is what the compiled engine knows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import assemble, spans
from pipeline.assemble import Rules
from pipeline.engines import compiled_columns, compiled_samplers
from pipeline.objectives import OBJECTIVES
from pipeline.randomness import length_thresholds, threshold
from pipeline.window_batch import Ints

SAMPLERS: dict[Callable[..., Any], int] = {
    spans.sample_blanks: compiled_samplers.BLANKS,
    spans.sample_sentences: compiled_samplers.SENTENCES,
    spans.sample_document: compiled_samplers.DOCUMENT,
    spans.sample_suffix: compiled_samplers.SUFFIX,
    spans.sample_completion: compiled_samplers.COMPLETION,
    spans.sample_tokens: compiled_samplers.TOKENS,
}
"""Samplers that this engine knows, and their codes."""

FORMS: dict[Callable[..., Any], int] = {
    assemble.assemble_blanks: compiled_columns.IN_BLANKS,
    assemble.assemble_prefix: compiled_columns.IN_PREFIX,
    assemble.assemble_in_place: compiled_columns.IN_PLACE,
    assemble.assemble_next_token: compiled_columns.NEXT_TOKEN,
    assemble.assemble_prefix_lm: compiled_columns.PREFIX_LM,
    assemble.assemble_sentinels: compiled_columns.IN_SENTINELS,
}
"""Forms that this engine knows, and their codes."""

_RATIOS = ("mask_ratio", "min_span_ratio")
_CODES = ("sampler", "form", "is_shuffled")
_NUMBERS = (
    *_CODES,
    "single_span",
    *("cls", "eos", "mask", "plain_mask", "start", "end", "noise"),
    *("first_sentinel", "num_sentinels"),
    *("window_tokens", "block_positions", "sentinels", "random_positions"),
    *("noisy", "masked", "randomised", "ordinary_tokens", "first_special", "stop_special"),
)
RULE = np.dtype([(name, np.float64) for name in _RATIOS] + [(name, np.int64) for name in _NUMBERS])
"""One objective as the kernels see it; probabilities in units of 2**-32."""


@dataclass(frozen=True)
class Table:
    """The objectives of a recipe for the kernels.

    `rules` (o,) of `RULE`; `thresholds` (o, longest) `length_thresholds`, continued with 2**32;
    `specials` the special ids below the vocabulary's size, each less the number of those before
    it, of one objective after another.
    """

    rules: NDArray[Any]
    thresholds: Ints
    specials: Ints


def table_of(rules: Sequence[Rules]) -> Table:
    """The table of those objectives; sampler and form are -1 where kernels do not know them."""
    lines = [OBJECTIVES[one.objective.kind] for one in rules]
    codes = [
        (SAMPLERS.get(line.sample, -1), FORMS.get(line.form.assemble, -1), line.form.is_shuffled)
        for line in lines
    ]
    return _table(tuple(rules), tuple(codes))


@lru_cache(maxsize=8)
def _table(rules: tuple[Rules, ...], codes: tuple[tuple[int, int, bool], ...]) -> Table:
    thresholds = [_thresholds(one) for one in rules]
    longest = max([compiled_samplers.SHORT + 1, *map(len, thresholds)])
    padded = np.full((len(rules), longest), 1 << 32, np.int64)
    for row, values in zip(padded, thresholds, strict=True):
        row[: len(values)] = values
    specials = [np.array(one.special.ids(one.vocab_size), np.int64) for one in rules]
    edges = [0, *accumulate(map(len, specials))]
    table = np.zeros(len(rules), RULE)
    for index, one in enumerate(rules):
        numbers = _numbers(one) | dict(zip(_CODES, codes[index], strict=True))
        numbers |= {
            "ordinary_tokens": one.vocab_size - len(specials[index]),
            "first_special": edges[index],
            "stop_special": edges[index + 1],
        }
        table[index] = tuple(numbers[name] for name in RULE.names or ())
    shifted = [ids - np.arange(len(ids)) for ids in specials]
    return Table(table, padded, np.concatenate([np.empty(0, np.int64), *shifted]))


def _thresholds(rules: Rules) -> tuple[int, ...]:
    one = rules.objective
    return length_thresholds(one.span_lengths, one.mean_span_tokens, one.max_span_tokens)


def _numbers(rules: Rules) -> dict[str, float]:
    one, special = rules.objective, rules.special
    masked = threshold(one.replace_ratio)
    return {
        "mask_ratio": one.mask_ratio,
        "min_span_ratio": one.min_span_ratio,
        "single_span": threshold(one.single_span_ratio),
        "cls": special.cls,
        "eos": special.eos,
        "mask": rules.mask,
        "plain_mask": special.mask,
        "start": special.start,
        "end": special.end,
        "noise": special.noise,
        "first_sentinel": special.first_sentinel,
        "num_sentinels": special.num_sentinels,
        "window_tokens": rules.window_tokens,
        "block_positions": rules.block_positions,
        "sentinels": rules.sentinels,
        "random_positions": one.random_positions,
        "noisy": threshold(one.noise_ratio),
        "masked": masked,
        "randomised": masked + threshold(one.random_ratio),
    }
