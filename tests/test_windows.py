"""Windows: nothing lost, never too long, ending at sentence ends where one is near."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.windows import cut_windows
from schemas.build_config import BuildConfig
from tests.strategies import SPECIAL


@st.composite
def documents(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    length = draw(st.integers(1, 400))
    cuts = draw(st.sets(st.integers(1, length), max_size=40)) | {length}
    return np.arange(8, length + 8, dtype=np.int32), np.array(sorted(cuts), np.int64)


configs = st.builds(
    BuildConfig, window_tokens=st.integers(8, 80), add_cls=st.booleans(), add_eos=st.booleans()
)


@given(documents(), configs)
def test_windows_cover_the_document_without_gap_or_overlap(
    document: tuple[np.ndarray, np.ndarray], config: BuildConfig
) -> None:
    tokens, ends = document
    windows = list(cut_windows(tokens, ends, config, SPECIAL))
    edges = [0] + [window.stop for window in windows]
    assert [window.start for window in windows] == edges[:-1]
    assert edges[-1] == len(tokens)
    joined = np.concatenate([window.tokens[window.first : window.last] for window in windows])
    np.testing.assert_array_equal(joined, tokens)
    assert [window.number for window in windows] == list(range(len(windows)))


@given(documents(), configs)
def test_windows_are_framed_and_never_too_long(
    document: tuple[np.ndarray, np.ndarray], config: BuildConfig
) -> None:
    for window in cut_windows(*document, config, SPECIAL):
        assert len(window.tokens) <= config.window_tokens
        assert (window.tokens[0] == SPECIAL.cls) is np.bool_(config.add_cls)
        assert (window.tokens[-1] == SPECIAL.eos) is np.bool_(config.add_eos)


@given(documents(), configs)
def test_a_window_ends_at_the_last_sentence_end_of_its_second_half(
    document: tuple[np.ndarray, np.ndarray], config: BuildConfig
) -> None:
    tokens, ends = document
    capacity = config.window_tokens - config.add_cls - config.add_eos
    for window in cut_windows(tokens, ends, config, SPECIAL):
        full = window.start + capacity
        near = [e for e in ends.tolist() if window.start + capacity // 2 < e <= full]
        if full < len(tokens):
            assert window.stop == (near[-1] if near else full)


@given(documents(), configs)
def test_sentence_ends_are_those_of_the_document_within_the_window(
    document: tuple[np.ndarray, np.ndarray], config: BuildConfig
) -> None:
    tokens, ends = document
    for window in cut_windows(tokens, ends, config, SPECIAL):
        inside = {end for end in ends.tolist() if window.start < end <= window.stop} | {window.stop}
        expected = sorted(end - window.start + window.first for end in inside)
        assert window.sentence_ends.tolist() == expected
        assert window.sentence_ends[-1] == window.last
