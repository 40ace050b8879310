"""The mask rule and attention, against a slow obvious loop and against itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.attention import Layout, attend, dense_mask
from tests.models import generator

Samples = list[tuple[int, int]]


@st.composite
def packed_samples(draw: st.DrawFn) -> tuple[Samples, int]:
    """(length, boundary) of each place, unused places anywhere, and a row that holds them."""
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    samples = [(length, draw(st.integers(0, length))) for length in lengths]
    return samples, max(1, sum(lengths) + draw(st.integers(0, 3)))


def layout_of(*rows: Samples) -> Layout:
    places = torch.tensor(rows)
    return Layout(lengths=places[..., 0], boundaries=places[..., 1])


def slow_mask(samples: Samples, row_tokens: int) -> Tensor:
    seen = torch.eye(row_tokens, dtype=torch.bool)
    start = 0
    for length, boundary in samples:
        for i in range(length):
            for j in range(length):
                seen[start + i, start + j] = j < boundary or j <= i
        start += length
    return seen


@given(packed_samples())
def test_the_mask_equals_a_slow_loop_over_all_pairs(packed: tuple[Samples, int]) -> None:
    samples, row_tokens = packed
    assert torch.equal(
        dense_mask(layout_of(samples), row_tokens)[0, 0], slow_mask(samples, row_tokens)
    )


def test_each_row_has_a_layout_of_its_own() -> None:
    rows: list[Samples] = [[(3, 1), (2, 2)], [(0, 0), (5, 0)]]
    mask = dense_mask(layout_of(*rows), 6)
    assert mask.shape == (2, 1, 6, 6)
    for row, samples in zip(mask[:, 0], rows, strict=True):
        assert torch.equal(row, slow_mask(samples, 6))


def test_the_mask_of_the_papers_figure_2() -> None:
    mask = dense_mask(layout_of([(10, 5)]), 10)[0, 0].int()
    visible_per_token = [5, 5, 5, 5, 5, 6, 7, 8, 9, 10]
    assert mask.tolist() == [[1] * n + [0] * (10 - n) for n in visible_per_token]


def test_an_empty_part_a_is_causal_and_an_empty_part_b_is_bidirectional() -> None:
    ones = torch.ones(5, 5, dtype=torch.bool)
    assert torch.equal(dense_mask(layout_of([(5, 0)]), 5)[0, 0], ones.tril())
    assert torch.equal(dense_mask(layout_of([(5, 5)]), 5)[0, 0], ones)


@given(packed_samples(), st.data())
def test_later_queries_alone_get_their_lines_of_the_whole_mask(
    packed: tuple[Samples, int], data: st.DataObject
) -> None:
    samples, row_tokens = packed
    first_query = data.draw(st.integers(0, row_tokens - 1))
    whole = dense_mask(layout_of(samples), row_tokens)
    part = dense_mask(layout_of(samples), row_tokens, first_query)
    assert torch.equal(part, whole[:, :, first_query:])


def test_attention_equals_the_written_out_softmax() -> None:
    query, key, value = torch.randn(3, 2, 2, 6, 4, generator=generator(1))
    mask = dense_mask(layout_of([(4, 2)], [(6, 3)]), 6)
    scores = query @ key.transpose(-1, -2) / 4**0.5
    expected = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1) @ value
    torch.testing.assert_close(attend(query, key, value, mask, dropout=0.0), expected)


def test_a_row_of_padding_alone_has_no_nan() -> None:
    ids = torch.randn(3, 1, 1, 4, 2, generator=generator(1))
    attended = attend(*ids, dense_mask(layout_of([(0, 0)]), 4), dropout=0.0)
    torch.testing.assert_close(attended, ids[2])


def test_dropout_falls_on_the_probabilities() -> None:
    ids = torch.randn(3, 1, 1, 4, 2, generator=generator(1))
    mask = dense_mask(layout_of([(4, 4)]), 4)
    torch.manual_seed(1)
    assert not torch.equal(attend(*ids, mask, 0.5), attend(*ids, mask, 0.0))


def test_a_layout_needs_one_boundary_for_each_length() -> None:
    with pytest.raises(AssertionError, match="one boundary for each length"):
        Layout(lengths=torch.ones(1, 2), boundaries=torch.ones(1, 1))
