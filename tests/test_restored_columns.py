"""Flat columns of samples: parts of them, and where masks stand in part A."""

import numpy as np

from pipeline.sample_checks.restored_columns import Columns, is_mask, mask_of, numbers_of, places_of
from tests.strategies import SPECIAL, VOCAB_SIZE

SECOND, THIRD = (SPECIAL.sentinel(number)[0] for number in (1, 2))
TOKENS = np.array([SECOND, 20, SPECIAL.mask, 30, 40, SECOND, THIRD, SECOND, 50])
SAMPLES = Columns(TOKENS, TOKENS + 1, TOKENS + 2, np.array([0, 4, 9]), np.array([3, 4]))


def test_part_b_begins_behind_the_boundary() -> None:
    assert SAMPLES.seams.tolist() == [3, 8]
    assert SAMPLES.lasts.tolist() == [3, 8]
    assert np.flatnonzero(SAMPLES.in_part_b).tolist() == [3, 8]
    assert SAMPLES.owners.tolist() == [0] * 4 + [1] * 5


def test_a_part_has_the_samples_asked_for() -> None:
    part = SAMPLES.part(np.array([1]))
    assert part.tokens.tolist() == TOKENS[4:].tolist()
    assert part.labels.tolist() == (TOKENS[4:] + 1).tolist()
    assert (part.edges.tolist(), part.boundaries.tolist()) == ([0, 5], [4])
    assert len(SAMPLES.part(np.zeros(2, bool))) == 0


def test_entries_are_numbered_for_each_owner() -> None:
    assert numbers_of(np.array([0, 0, 2, 5, 5, 5])).tolist() == [0, 1, 0, 0, 1, 2]
    assert numbers_of(np.empty(0, np.int64)).tolist() == []


def test_masks_are_those_of_the_sentinels_as_far_as_there_are_some() -> None:
    numbers = np.arange(SPECIAL.num_sentinels + 3)
    masks = mask_of(numbers, SPECIAL).tolist()
    assert masks[:-2] == [SPECIAL.sentinel(number)[0] for number in numbers[:-2].tolist()]
    assert masks[-2:] == [-1, -1]
    tokens = np.arange(-200, VOCAB_SIZE + 5)
    assert tokens[is_mask(tokens, SPECIAL)].tolist() == masks[:-2]


def test_a_mask_is_where_it_stands_first_in_part_a_of_its_own_sample() -> None:
    masks, owners = [SPECIAL.mask, SECOND, SECOND, THIRD, SPECIAL.mask, -1], [0, 0, 1, 1, 1, 1]
    found = places_of(np.array(masks), np.array(owners), SAMPLES, SPECIAL)
    assert found.tolist() == [2, 0, 1, 2, -1, -1]
