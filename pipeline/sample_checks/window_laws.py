"""Windows read back from samples, and the laws that they must keep.

Stands between `restored.py` and `span_laws.py`, whose laws are those of the spans.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.assemble import Rules
from pipeline.laws.drawn import Bools
from pipeline.mixing import INSTRUCTION
from pipeline.objectives import OBJECTIVES
from pipeline.sample_checks.restored_columns import Restored
from pipeline.sample_checks.row_laws import Samples
from pipeline.spans import MIN_MASKABLE_TOKENS
from pipeline.window_batch import Ints, WindowBatch
from schemas.build_config import BuildConfig

Finding = tuple[Bools, Callable[[int], str]]
"""(m,) Which samples keep a law, and what to say of the others by index."""


def windows_of(
    samples: Samples, restored: Restored, config: BuildConfig, keys: NDArray[np.uint64]
) -> WindowBatch:
    """The windows of `samples`, over their framed tokens, without prompts.

    Sentences end where spans begin or end: all that a sample says of them. `keys` (m,) are those of
    the documents.
    """
    cls, frame = int(config.add_cls), config.add_cls + config.add_eos
    before, sizes = restored.edges[:-1], np.diff(restored.edges)
    offsets, lengths = before + cls, sizes - frame
    shift = np.repeat(before, restored.spans.counts)
    places = np.concatenate((restored.spans.starts + shift, restored.spans.stops + shift))
    places.sort()
    ends = places[np.diff(places, prepend=-1) > 0]
    return WindowBatch(
        tokens=restored.tokens.astype(np.int32),
        sentence_ends=ends,
        offsets=offsets,
        lengths=lengths,
        prompts=np.zeros_like(lengths),
        first_ends=np.searchsorted(ends, offsets, side="right"),
        stop_ends=np.searchsorted(ends, offsets + lengths, side="right"),
        keys=keys,
        numbers=samples.windows,
        starts=samples.starts,
        documents=samples.documents,
        objectives=samples.objectives,
        cls=config.add_cls,
        eos=config.add_eos,
    )


def check_windows(
    samples: Samples, restored: Restored, rules: Rules, config: BuildConfig
) -> Iterator[Finding]:
    """The window is [CLS], the ordinary tokens that its origin names, eos; as long as it may be,
    and as long as the sample needs."""
    sizes, edges = np.diff(restored.edges), restored.edges
    frame = config.add_cls + config.add_eos
    expected = samples.stops - samples.starts + frame
    yield (
        sizes == expected,
        lambda i: f"a window of {sizes[i]} tokens, frame included: expected {expected[i]}",
    )
    bound, least = longest_window(rules, config), MIN_MASKABLE_TOKENS + frame
    yield (
        (least <= sizes) & (sizes <= bound),
        lambda i: f"a window of {sizes[i]} tokens: expected {least} to {bound}",
    )
    form = OBJECTIVES[rules.objective.kind].form
    needed = np.asarray(form.size(sizes, restored.spans.counts))
    yield (
        needed == samples.lengths,
        lambda i: (
            f"{samples.lengths[i]} tokens: expected {needed[i]} for a window of {sizes[i]} "
            f"and {restored.spans.counts[i]} spans"
        ),
    )
    strays = _strays(restored, rules, config)
    yield (
        strays < 0,
        lambda i: (
            f"token {restored.tokens[strays[i]]} at place {strays[i] - edges[i]} of the "
            "window: expected [CLS] first and eos last where the recipe has them, ordinary tokens "
            "elsewhere"
        ),
    )


def longest_window(rules: Rules, config: BuildConfig) -> int:
    """Most tokens of a window, frame included: a turn's part, or all of it for instructions."""
    if rules.objective.kind == INSTRUCTION:
        return config.window_tokens
    return config.window_tokens // rules.objective.samples_per_window


def _strays(restored: Restored, rules: Rules, config: BuildConfig) -> Ints:
    """(m,) A token of each window that should not stand there; -1 where there is none."""
    special, vocab_size = rules.special, rules.vocab_size
    is_ordinary = ordinary_tokens(rules)
    tokens = restored.tokens
    fine = (tokens >= 0) & (tokens < vocab_size)
    fine &= is_ordinary[np.where(fine, tokens, 0)]
    firsts, lasts = restored.edges[:-1], restored.edges[1:] - 1
    if config.add_cls:
        fine[firsts] = tokens[firsts] == special.cls
    if config.add_eos:
        fine[lasts] = tokens[lasts] == special.eos
    return stray_of_each(~fine, restored.edges)


def stray_of_each(is_stray: Bools, edges: Ints) -> Ints:
    """(m,) The first stray in each [edges[i], edges[i + 1]); -1 where there is none."""
    found, strays = np.flatnonzero(is_stray)[::-1], np.full(len(edges) - 1, -1)
    strays[np.searchsorted(edges, found, side="right") - 1] = found
    return strays


def ordinary_tokens(rules: Rules) -> Bools:
    """(vocabulary,) True for tokens that text can have."""
    is_ordinary = np.ones(rules.vocab_size, bool)
    is_ordinary[rules.special.ids(rules.vocab_size)] = False
    return is_ordinary
