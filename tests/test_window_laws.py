"""Windows read back: framed, of ordinary tokens, as long as origin, recipe and sample say."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.sample_checks.restored_columns import Restored
from pipeline.sample_checks.row_laws import Samples, read_samples
from pipeline.sample_checks.window_laws import (
    check_windows,
    longest_window,
    ordinary_tokens,
    stray_of_each,
    windows_of,
)
from schemas.build_config import BuildConfig, ObjectiveConfig
from tests.sample_rows import pack
from tests.strategies import SPECIAL, VOCAB_SIZE
from tests.window_batches import span_batch

CONFIG = BuildConfig(
    objective={"blank": ObjectiveConfig(kind="blank")}, window_tokens=40, row_tokens=60
)
PACKED = pack(CONFIG, documents=1, tokens=90)
RULES = PACKED.rules[0]


def read_back(text: list[int], spans: list[tuple[int, int]]) -> tuple[Samples, Restored]:
    """One sample of a window and its spans, as lawful as they are."""
    samples, _ = read_samples(PACKED.arrays, PACKED.row_format, pad=0)
    columns = {"starts": 7, "stops": 5 + len(text), "lengths": len(text) + 2 * len(spans)}
    one = samples.part(np.arange(1))
    one = replace(one, **{name: np.array([value]) for name, value in columns.items()})
    edges = np.array([0, len(text)])
    return one, Restored(np.array(text), edges, span_batch([spans]))


def told(samples: Samples, restored: Restored, config: BuildConfig = CONFIG) -> list[str]:
    found = check_windows(samples, restored, RULES, config)
    return [what(0) for holds, what in found if not holds[0]]


TEXT = [SPECIAL.cls, 20, 30, 40, 50, 60, SPECIAL.eos]


def test_a_framed_window_of_ordinary_tokens_is_lawful() -> None:
    assert told(*read_back(TEXT, [(2, 3)])) == []


@pytest.mark.parametrize(
    ("place", "token"),
    [
        *[(0, 20), (0, SPECIAL.eos), (6, 20), (6, SPECIAL.cls), (5, SPECIAL.pad)],
        *[(3, SPECIAL.mask), (3, SPECIAL.first_sentinel), (4, -100), (5, VOCAB_SIZE)],
    ],
)
def test_cls_stands_first_eos_last_and_nothing_special_between(place: int, token: int) -> None:
    text = [token if at == place else one for at, one in enumerate(TEXT)]
    assert told(*read_back(text, [(2, 3)])) == [
        f"token {token} at place {place} of the window: expected [CLS] first and eos last where "
        "the recipe has them, ordinary tokens elsewhere"
    ]


def test_a_recipe_without_frames_has_ordinary_tokens_alone() -> None:
    bare = replace(CONFIG, add_cls=False, add_eos=False)
    samples, restored = read_back(TEXT[1:-1], [(2, 3)])
    samples = replace(samples, stops=samples.starts + 5)
    assert told(samples, restored, bare) == []
    (what,) = told(samples, restored, replace(CONFIG, add_eos=False, window_tokens=20))[1:]
    assert what.startswith("token 20 at place 0")


def test_a_window_is_as_long_as_its_origin() -> None:
    samples, restored = read_back(TEXT, [(2, 3)])
    assert told(replace(samples, stops=samples.stops + 1), restored) == [
        "a window of 7 tokens, frame included: expected 8"
    ]


@pytest.mark.parametrize("size", [1, 39])
def test_a_window_can_hide_something_and_fits_its_turn(size: int) -> None:
    text = [SPECIAL.cls, *[20] * size, SPECIAL.eos]
    assert told(*read_back(text, [(1, 2)])) == [f"a window of {size + 2} tokens: expected 4 to 40"]


def test_a_sample_is_as_long_as_its_form_makes_it() -> None:
    samples, restored = read_back(TEXT, [(2, 3), (4, 5)])
    assert told(replace(samples, lengths=samples.lengths - 1), restored) == [
        "10 tokens: expected 11 for a window of 7 and 2 spans"
    ]


def test_an_instruction_has_all_of_a_turn() -> None:
    for kind, bound in (("blank", 10), ("instruction", 40)):
        objective = ObjectiveConfig(kind=kind, samples_per_window=4)
        assert longest_window(replace(RULES, objective=objective), CONFIG) == bound


def test_ordinary_tokens_are_those_that_are_not_special() -> None:
    special = set(np.flatnonzero(~ordinary_tokens(RULES)).tolist())
    assert special == {*range(9), *range(1000, 1800)}


def test_the_first_stray_of_each_part_is_named() -> None:
    is_stray = np.array([False, True, True, False, False, True])
    assert stray_of_each(is_stray, np.array([0, 3, 5, 6])).tolist() == [1, -1, 5]
    assert stray_of_each(is_stray[:0], np.array([0])).tolist() == []


def test_windows_say_where_they_come_from_and_where_spans_end() -> None:
    samples, restored = read_back(TEXT, [(4, 6), (1, 2), (2, 3)])
    windows = windows_of(samples, restored, CONFIG, np.array([5], np.uint64))
    assert windows.window(0, SPECIAL).tokens.tolist() == TEXT
    assert windows.window(0, SPECIAL).sentence_ends.tolist() == [2, 3, 4, 6]
    assert (windows.starts[0], windows.keys[0], windows.prompts[0]) == (7, 5, 0)
