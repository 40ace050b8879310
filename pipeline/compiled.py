"""The compiled engine: `Engine` as two numba kernels, one sample after another, in one thread.

`engines.py` chooses it where numba can be imported. Here the objectives become a table of numbers
and the arrays are handed over; `compiled_spans.py` and `compiled_rows.py` do the work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import assemble, compiled_forms, compiled_rows, compiled_spans, spans
from pipeline.assemble import Rules
from pipeline.compiled_rows import Layout, Memory, Placed
from pipeline.compiled_spans import Scratch, Windows
from pipeline.objectives import OBJECTIVES, Objective
from pipeline.randomness import length_thresholds, threshold
from pipeline.window_batch import Ints, Placement, Rows, SpanBatch, WindowBatch

SAMPLERS: dict[Callable[..., Any], int] = {
    spans.sample_blanks: compiled_spans.BLANKS,
    spans.sample_sentences: compiled_spans.SENTENCES,
    spans.sample_document: compiled_spans.DOCUMENT,
    spans.sample_suffix: compiled_spans.SUFFIX,
    spans.sample_completion: compiled_spans.COMPLETION,
    spans.sample_tokens: compiled_spans.TOKENS,
}
"""Samplers that this engine knows, and their codes."""

FORMS: dict[Callable[..., Any], int] = {
    assemble.assemble_blanks: compiled_forms.IN_BLANKS,
    assemble.assemble_prefix: compiled_forms.IN_PREFIX,
    assemble.assemble_in_place: compiled_forms.IN_PLACE,
    assemble.assemble_next_token: compiled_forms.NEXT_TOKEN,
    assemble.assemble_prefix_lm: compiled_forms.PREFIX_LM,
    assemble.assemble_sentinels: compiled_forms.IN_SENTINELS,
}
"""Forms that this engine knows, and their codes."""

_RATIOS = ("mask_ratio", "min_span_ratio")
_NUMBERS = (
    *("sampler", "form", "is_shuffled", "single_span"),
    *("cls", "eos", "mask", "plain_mask", "start", "end", "noise"),
    *("first_sentinel", "num_sentinels"),
    *("window_tokens", "block_positions", "sentinels", "random_positions"),
    *("noisy", "masked", "randomised", "ordinary_tokens", "first_special", "stop_special"),
)
RULE = np.dtype([(name, np.float64) for name in _RATIOS] + [(name, np.int64) for name in _NUMBERS])
"""One objective as the kernels see it; probabilities in units of 2**-32."""


def draw(windows: WindowBatch, rules: Sequence[Rules], shuffle: bool) -> SpanBatch:
    """`Engine.draw` for objectives whose samplers are in `SAMPLERS`."""
    table = _table_of(rules)
    room = np.empty((2, int(most_spans(windows, table.rules).sum())), np.int64)
    longest = int(max(windows.sizes.max(initial=0), _sentences(windows).max(initial=0))) + 1
    bits = np.zeros(longest // 64 + 1, np.uint64)
    scratch = Scratch(bits, *np.zeros((3, longest), np.int64))
    edges = compiled_spans.draw(
        _arrays(windows), table.rules, table.thresholds, (room[0], room[1]), scratch, shuffle
    )
    starts, stops = room[:, : edges[-1]].copy()
    return SpanBatch(starts, stops, edges)


def write(
    windows: WindowBatch,
    spans: SpanBatch,
    rules: Sequence[Rules],
    placement: Placement,
    rows: Rows,
) -> None:
    """`Engine.write` for objectives whose forms are in `FORMS`."""
    table, slices = _table_of(rules), rows.format.slices
    form = rows.format
    begins = (part.start for name, part in slices.items() if name != "tokens")
    layout = Layout(*begins, form.row_tokens, form.max_samples, form.ignore)
    longest = int(windows.sizes.max(initial=0)) + 1
    bits = np.zeros(longest // 64 + 1, np.uint64)
    memory = Memory(np.empty(longest, np.int32), bits, *np.zeros((3, longest), np.int64))
    placed = Placed(
        spans.starts, spans.stops, spans.edges, placement.rows, placement.firsts, placement.places
    )
    failed = compiled_rows.write(
        _arrays(windows), placed, table.rules, table.specials, rows.values, layout, memory
    )
    assert failed < 0, f"the sample of window {failed} outgrows its row, or has too many spans"


def most_spans(windows: WindowBatch, rules: NDArray[Any]) -> Ints:
    """(w,) Upper bounds on the spans of each window: what `draw` needs room for."""
    of_window = rules[windows.objectives]
    targets = np.maximum(1, (of_window["mask_ratio"] * windows.sizes).astype(np.int64))
    takes_target = np.isin(of_window["sampler"], (compiled_spans.BLANKS, compiled_spans.TOKENS))
    sentences = np.where(of_window["sampler"] == compiled_spans.SENTENCES, _sentences(windows), 1)
    return np.where(takes_target, targets, sentences)


def _sentences(windows: WindowBatch) -> Ints:
    """(w,) Upper bounds on the sentences of each window."""
    return windows.stop_ends - windows.first_ends + 1


def _arrays(windows: WindowBatch) -> Windows:
    arrays = (getattr(windows, name) for name in Windows._fields[:-2])
    return Windows(*arrays, int(windows.cls), int(windows.eos))


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


def _table_of(rules: Sequence[Rules]) -> Table:
    return _table(tuple(rules), tuple(OBJECTIVES[one.objective.kind] for one in rules))


@lru_cache(maxsize=8)
def _table(rules: tuple[Rules, ...], lines: tuple[Objective, ...]) -> Table:
    thresholds = [_thresholds(one) for one in rules]
    padded = np.full((len(rules), max(map(len, thresholds), default=1)), 1 << 32, np.int64)
    for row, values in zip(padded, thresholds, strict=True):
        row[: len(values)] = values
    specials = [np.array(one.special.ids(one.vocab_size), np.int64) for one in rules]
    edges = [0, *accumulate(map(len, specials))]
    table = np.zeros(len(rules), RULE)
    for index, (one, line) in enumerate(zip(rules, lines, strict=True)):
        numbers = _numbers(one, line) | {
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


def _numbers(rules: Rules, line: Objective) -> dict[str, float]:
    one, special = rules.objective, rules.special
    masked = threshold(one.replace_ratio)
    return {
        "mask_ratio": one.mask_ratio,
        "min_span_ratio": one.min_span_ratio,
        "sampler": SAMPLERS.get(line.sample, -1),
        "form": FORMS.get(line.form.assemble, -1),
        "is_shuffled": line.form.is_shuffled,
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
