"""Window batches for tests: random ones, and those of given windows."""

import itertools
from collections.abc import Sequence

import numpy as np

from pipeline.laws.drawn import Drawn
from pipeline.window_batch import SpanBatch, WindowBatch
from schemas.samples import Span, Window


def random_batch(count: int, seed: int = 1, sizes: tuple[int, int] = (4, 300)) -> WindowBatch:
    """`count` framed windows of one objective; a tenth of them with a prompt."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(*sizes, count)
    offsets = np.cumsum(lengths) - lengths
    prompts = np.where(rng.random(count) < 0.1, rng.integers(0, lengths // 2), 0)
    total = int(lengths.sum())
    inside = np.flatnonzero(rng.random(total) < 0.05) + 1
    ends = np.unique(np.concatenate((inside, offsets + lengths, offsets + prompts)))[1:]
    zeros = np.zeros(count, np.int64)
    return WindowBatch(
        tokens=(np.arange(total) % 50 + 9).astype(np.int32),
        sentence_ends=ends,
        offsets=offsets,
        lengths=lengths,
        prompts=prompts,
        first_ends=np.searchsorted(ends, offsets + prompts, side="right"),
        stop_ends=np.searchsorted(ends, offsets + lengths, side="right"),
        keys=rng.integers(0, 2**63, count).astype(np.uint64),
        numbers=zeros,
        starts=zeros,
        documents=np.arange(count),
        objectives=zeros,
        cls=True,
        eos=True,
    )


def batch_of(windows: Sequence[Window], keys: Sequence[int]) -> WindowBatch:
    """A batch of windows of one framing; their text is what stands between [CLS] and eos."""
    first = windows[0]
    cls, eos = first.first > first.prompt, len(first.tokens) > first.last
    texts = [window.tokens[int(cls) : window.last] for window in windows]
    lengths = np.array([len(text) for text in texts], np.int64)
    offsets = np.cumsum(lengths) - lengths
    ends = [
        window.sentence_ends - int(cls) + offset
        for window, offset in zip(windows, offsets, strict=True)
    ]
    counts = np.array([len(part) for part in ends], np.int64)
    zeros = np.zeros(len(windows), np.int64)
    return WindowBatch(
        tokens=np.concatenate(texts).astype(np.int32),
        sentence_ends=np.concatenate(ends),
        offsets=offsets,
        lengths=lengths,
        prompts=np.array([window.prompt for window in windows], np.int64),
        first_ends=np.cumsum(counts) - counts,
        stop_ends=np.cumsum(counts),
        keys=np.array(keys, np.uint64),
        numbers=np.array([window.number for window in windows], np.int64),
        starts=zeros,
        documents=zeros,
        objectives=zeros,
        cls=cls,
        eos=eos,
    )


def span_batch(found: Sequence[Sequence[Span]]) -> SpanBatch:
    """The spans of each window, in the order given."""
    flat = np.array([span for spans in found for span in spans], np.int64).reshape(-1, 2)
    edges = np.array([0, *itertools.accumulate(map(len, found))], np.int64)
    return SpanBatch(flat[:, 0].copy(), flat[:, 1].copy(), edges)


def drawn(windows: WindowBatch, spans: SpanBatch) -> Drawn:
    """All of them, as the laws look at them."""
    return Drawn.in_text_order(windows, spans)
