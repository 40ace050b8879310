"""Windows: nothing lost, never too long, ending at sentence ends where one is near."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mixing import ObjectiveMix
from pipeline.objectives import is_usable
from pipeline.readers.reads import Document
from pipeline.text import TokenBatch
from pipeline.window_batch import WindowBatch
from pipeline.windows import MIN_SHORT_WINDOW_TOKENS, WindowCutter
from schemas.build_config import BuildConfig, ObjectiveConfig
from tests.strategies import SPECIAL

DOCUMENT = Document("d", "", "a.txt", 0, 0)


@st.composite
def token_batches(draw: st.DrawFn, max_prompt: int = 0, is_instruction: bool = False) -> TokenBatch:
    """Some documents with sentence ends anywhere, some of them with a prompt."""
    sizes = draw(st.lists(st.integers(1, 400), min_size=1, max_size=4))
    prompts = [draw(st.integers(0, max_prompt)) for _ in sizes]
    edges = np.cumsum([0, *(a + b for a, b in zip(sizes, prompts, strict=True))])
    total = int(edges[-1])
    cuts = draw(st.sets(st.integers(1, total), max_size=60))
    cuts |= set(edges[1:].tolist()) | set((edges[:-1] + prompts).tolist())
    return TokenBatch(
        [replace(DOCUMENT, is_instruction=is_instruction)] * len(sizes),
        np.arange(total, dtype=np.int32) + 100,
        edges,
        np.array(prompts),
        np.array(sorted(cuts - {0}), np.int64),
    )


configs = st.builds(
    BuildConfig, window_tokens=st.integers(8, 80), add_cls=st.booleans(), add_eos=st.booleans()
)


def cut(batch: TokenBatch, config: BuildConfig) -> tuple[WindowBatch, Counter[str]]:
    counts: Counter[str] = Counter()
    cutter = WindowCutter(config, ObjectiveMix(config, "item", "train"), counts, "train")
    every = range(len(batch.documents))
    return cutter.cut(batch, every, every, [number + 7 for number in every]), counts


@given(token_batches(), configs)
def test_windows_cover_their_documents_without_gap_or_overlap(
    batch: TokenBatch, config: BuildConfig
) -> None:
    windows, counts = cut(batch, config)
    for number, (first, stop) in enumerate(zip(batch.edges[:-1], batch.edges[1:], strict=True)):
        own = windows.documents == number
        starts, lengths = windows.starts[own], windows.lengths[own]
        if stop - first == 1:
            assert not own.any()
            continue
        assert starts.tolist() == [0, *np.cumsum(lengths).tolist()[:-1]]
        assert lengths.sum() == stop - first
        assert (windows.offsets[own] == first + starts).all()
        assert windows.numbers[own].tolist() == list(range(len(starts)))
        assert set(windows.keys[own].tolist()) == {number + 7}
    assert counts["train.tokens.dropped.too_short"] == (np.diff(batch.edges) == 1).sum()


@given(token_batches(max_prompt=100), configs)
def test_windows_are_framed_usable_and_never_too_long(
    batch: TokenBatch, config: BuildConfig
) -> None:
    windows, _ = cut(batch, config)
    assert (windows.sizes <= config.window_tokens).all()
    assert (windows.lengths - windows.prompts >= np.where(windows.prompts > 0, 1, 2)).all()
    for index in range(len(windows)):
        window = windows.window(index, SPECIAL)
        text = batch.tokens[windows.offsets[index] :][: windows.lengths[index]]
        framed = [SPECIAL.cls] * config.add_cls + text.tolist() + [SPECIAL.eos] * config.add_eos
        assert window.tokens.tolist() == framed
        assert window.first == config.add_cls + windows.prompts[index]
        assert window.last == config.add_cls + len(text)


@given(token_batches(), configs)
def test_a_window_ends_at_a_sentence_end_where_one_is_near(
    batch: TokenBatch, config: BuildConfig
) -> None:
    capacity = config.window_tokens - config.add_cls - config.add_eos
    windows, _ = cut(batch, config)
    ends = set(batch.sentence_ends.tolist())
    for index in range(len(windows)):
        start, length = int(windows.offsets[index]), int(windows.lengths[index])
        stop = int(batch.edges[windows.documents[index] + 1])
        if start + length == stop:
            continue
        assert length > capacity // 2
        later = range(start + length + 1, min(start + capacity, stop - 2) + 1)
        assert not ends & set(later)
        assert start + length in ends or not later


@given(token_batches(max_prompt=100), configs)
def test_sentence_ends_are_those_behind_the_prompt_within_the_window(
    batch: TokenBatch, config: BuildConfig
) -> None:
    windows, _ = cut(batch, config)
    for index in range(len(windows)):
        window, offset = windows.window(index, SPECIAL), int(windows.offsets[index])
        first, stop = offset + int(windows.prompts[index]), offset + int(windows.lengths[index])
        inside = {end for end in batch.sentence_ends.tolist() if first < end <= stop} | {stop}
        expected = sorted(end - offset + config.add_cls for end in inside)
        assert window.sentence_ends.tolist() == expected
        assert window.sentence_ends[-1] == window.last


@given(token_batches(max_prompt=100), configs)
def test_a_prompt_stands_before_the_text_and_what_is_cut_from_it_is_counted(
    batch: TokenBatch, config: BuildConfig
) -> None:
    windows, counts = cut(batch, config)
    text = int((np.diff(batch.edges) - batch.prompts).sum())
    assert int((windows.lengths - windows.prompts).sum()) == text - sum(
        counts[name] for name in ("train.tokens.dropped.too_short",)
    )
    dropped = counts["train.prompt_tokens.dropped.too_long"]
    assert int(windows.prompts.sum()) + dropped == batch.prompts.sum()


@given(token_batches(max_prompt=100, is_instruction=True), configs)
def test_an_instruction_is_one_window_and_what_does_not_fit_is_counted(
    batch: TokenBatch, config: BuildConfig
) -> None:
    objectives = {"a": ObjectiveConfig(kind="instruction"), "b": ObjectiveConfig(kind="blank")}
    windows, counts = cut(batch, replace(config, objective=objectives))
    assert len(windows) + counts["train.windows.dropped.too_short"] == len(batch.documents)
    assert all(is_usable(windows.window(index, SPECIAL)) for index in range(len(windows)))
    assert (windows.objectives == 0).all()
    assert (windows.sizes <= config.window_tokens).all()
    lost = counts["train.prompt_tokens.dropped.too_long"]
    lost += counts["train.completion_tokens.dropped.too_long"]
    lost += counts["train.tokens.dropped.too_short"]
    assert int(windows.lengths.sum()) + lost == len(batch.tokens)


def test_several_samples_of_one_turn_share_its_objective() -> None:
    objectives = {
        "long": ObjectiveConfig(kind="prefix", share=0.7),
        "short": ObjectiveConfig(kind="blank", share=0.3, samples_per_window=4),
    }
    config = BuildConfig(window_tokens=200, objective=objectives, mix_by="tokens")
    tokens = np.arange(100_000, dtype=np.int32)
    ends = np.arange(10, 100_001, 10)
    batch = TokenBatch([DOCUMENT], tokens, np.array([0, 100_000]), np.zeros(1, int), ends)
    windows, _ = cut(batch, config)
    short = windows.objectives == 1
    assert windows.sizes[short].max() <= 50
    assert windows.sizes[~short].max() <= 200
    runs = np.diff(np.flatnonzero(np.diff(short.astype(int), prepend=0, append=0))).tolist()[::2]
    assert set(runs) <= {4, 8}
    assert abs(windows.sizes[short].sum() / windows.sizes.sum() - 0.3) < 0.002


def test_short_windows_take_their_share_of_the_turns() -> None:
    config = BuildConfig(window_tokens=512, short_window_ratio=0.2)
    tokens = np.arange(2_000_000, dtype=np.int32)
    ends = np.arange(20, 2_000_001, 20)
    batch = TokenBatch([DOCUMENT], tokens, np.array([0, 2_000_000]), np.zeros(1, int), ends)
    windows, _ = cut(batch, config)
    assert windows.lengths.sum() == 2_000_000
    short = windows.sizes < 480
    assert 0.12 < windows.lengths[short].sum() / 2_000_000 < 0.2
    assert windows.sizes[:-1].min() > MIN_SHORT_WINDOW_TOKENS // 2
