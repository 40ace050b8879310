"""Windows of random tokens in sentences of equal length, for benchmarks of spans and samples."""

import numpy as np

from pipeline.window_batch import WindowBatch

SENTENCE_TOKENS = 30


def random_windows(count: int, text_tokens: int, stop_token: int, seed: list[int]) -> WindowBatch:
    """`count` windows of `text_tokens` tokens in [9, stop_token), [CLS] and eos not counted."""
    random, zeros = np.random.default_rng(seed), np.zeros(count, np.int64)
    ends = np.append(np.arange(SENTENCE_TOKENS, text_tokens, SENTENCE_TOKENS), text_tokens)
    offsets = np.arange(count) * text_tokens
    return WindowBatch(
        tokens=random.integers(9, stop_token, count * text_tokens, dtype=np.int32),
        sentence_ends=(offsets[:, None] + ends).ravel(),
        offsets=offsets,
        lengths=zeros + text_tokens,
        prompts=zeros,
        first_ends=np.arange(count) * len(ends),
        stop_ends=np.arange(1, count + 1) * len(ends),
        keys=random.integers(0, 2**64, count, dtype=np.uint64),
        numbers=zeros,
        starts=zeros,
        documents=zeros,
        objectives=zeros,
        cls=True,
        eos=True,
    )
