"""Spans read back from samples, and the laws of their objective.

Used by `sample_laws.py`. Two things are not in a sample: how long the prompt is, and where
sentences end. The laws are asked as far as they can be answered without.
"""

from dataclasses import replace

import numpy as np

from pipeline.assemble import Rules
from pipeline.laws.drawn import Bools, Drawn
from pipeline.laws.laws import SENTENCES
from pipeline.objectives import OBJECTIVES
from pipeline.sample_checks.window_laws import Finding
from pipeline.window_batch import SpanBatch, WindowBatch


def check_spans(windows: WindowBatch, spans: SpanBatch, rules: Rules, shuffle: bool) -> Finding:
    """Spans are inside the window's text and apart, in the order of the text unless part B may be
    shuffled, and keep the rule of the objective, for some prompt in a document's first window."""
    line, drawn = OBJECTIVES[rules.objective.kind], Drawn.in_text_order(windows, spans)
    holds = drawn.is_sound(line.form.hides_eos)
    if not (shuffle and line.form.is_shuffled):
        holds &= drawn.how_many(drawn.starts != spans.starts) == 0
    sound = np.flatnonzero(holds)
    holds[sound] = _keeps_law(windows.part(sound), spans.part(sound), rules)
    return (
        holds,
        lambda i: (
            f"spans {_pairs(spans, i)} of a window of {windows.sizes[i]} tokens: expected what "
            f"the rule of {rules.objective.kind!r} allows"
        ),
    )


def check_drawn(windows: WindowBatch, spans: SpanBatch, drawn: SpanBatch, rules: Rules) -> Finding:
    """The spans are those `drawn` with the documents' keys, where these do not depend on what a
    sample does not say: in windows behind the first, and not of sentences."""
    is_same = spans.counts == drawn.counts
    chosen = np.flatnonzero(is_same)
    one, other = spans.part(chosen), drawn.part(chosen)
    differs = (one.starts != other.starts) | (one.stops != other.stops)
    is_same[chosen] = np.add.reduceat(np.append(differs, False), one.edges[:-1]) == 0
    has_sentences = OBJECTIVES[rules.objective.kind].law is SENTENCES
    holds = is_same | (windows.numbers == 0) | has_sentences
    return (
        holds,
        lambda i: (
            f"spans {_pairs(spans, i)}: expected {_pairs(drawn, i)}, which the document's key draws"
        ),
    )


def _keeps_law(windows: WindowBatch, spans: SpanBatch, rules: Rules) -> Bools:
    """(m,) True where the rule holds without a prompt or, in the first window of a document, with
    the longest one that the spans leave room for, or one token less."""
    law = OBJECTIVES[rules.objective.kind].law
    holds = np.ones(len(windows), bool)
    if law is None or not len(windows):
        return holds
    holds = law.holds(Drawn.in_text_order(windows, spans), rules.objective)
    for kept in (0, 1):
        first = np.flatnonzero(~holds & (windows.numbers == 0))
        if len(first):
            own = spans.part(first)
            with_prompts = _with_prompts(windows.part(first), own, kept)
            holds[first] = law.holds(Drawn.in_text_order(with_prompts, own), rules.objective)
    return np.asarray(holds)


def _with_prompts(windows: WindowBatch, spans: SpanBatch, kept: int) -> WindowBatch:
    """`windows` with a prompt up to `kept` tokens before their first span."""
    firsts = np.minimum.reduceat(spans.starts, spans.edges[:-1])
    prompts = np.maximum(firsts - int(windows.cls) - kept, 0)
    inside = np.searchsorted(windows.sentence_ends, windows.offsets + prompts, side="right")
    return replace(windows, prompts=prompts, first_ends=inside)


def _pairs(spans: SpanBatch, index: int) -> list[tuple[int, int]]:
    return [(span.start, span.stop) for span in spans.of(index)]
