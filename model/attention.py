"""Who sees whom: GLM's attention mask for packed rows, and attention itself.

`Layout` comes from the batch, `dense_mask` turns it into the rule that every layer shares, and
`attend` is the one function behind which faster backends stand.

Shapes: B rows, S sample places, L tokens of a row, Q query tokens, K key tokens, H heads, D head
size. Q = K = L unless earlier keys come from a cache.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Layout:
    """Where the samples of packed rows lie: one after another from column 0, padding after them.

    `lengths` and `boundaries` are int64 (B, S) on the device of the tokens. A length counts part A
    and part B; a boundary is the length of part A. Length 0 marks an unused place. Either part may
    be empty: boundary 0 is a causal language model, boundary = length a bidirectional encoder.
    """

    lengths: Tensor
    boundaries: Tensor

    def __post_init__(self) -> None:
        assert self.lengths.ndim == 2, "lengths are (rows, sample places)"
        assert self.lengths.shape == self.boundaries.shape, "one boundary for each length"

    @classmethod
    def single(cls, length: int, boundary: int, device: torch.device) -> "Layout":
        """One row that holds one sample."""
        return cls(
            lengths=torch.tensor([[length]], device=device),
            boundaries=torch.tensor([[boundary]], device=device),
        )


def dense_mask(layout: Layout, row_tokens: int, first_query: int = 0) -> Tensor:
    """Token i sees token j iff both are of one sample and j is in part A or not later than i.

    Padding sees itself alone, so that no softmax is empty. Returns bool (B, 1, Q, K), True = seen,
    for the queries `first_query .. row_tokens` and all keys. Source: GLM paper, section 2.1.
    """
    columns_L = torch.arange(row_tokens, device=layout.lengths.device)
    samples_BL = _sample_of_column(layout, columns_L)
    in_part_a_BK = _in_part_a(layout, columns_L, samples_BL)[:, None, :]
    queries_Q1 = columns_L[first_query:, None]
    samples_BQ1 = samples_BL[:, first_query:, None]

    same_sample_BQK = samples_BQ1 == samples_BL[:, None, :]
    is_token_BQ1 = samples_BQ1 < layout.lengths.shape[1]
    earlier_QK = columns_L <= queries_Q1
    seen_BQK = same_sample_BQK & is_token_BQ1 & (in_part_a_BK | earlier_QK)
    return (seen_BQK | (columns_L == queries_Q1))[:, None]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout: float) -> Tensor:
    """Softmax attention, scaled by 1/sqrt(D), over the keys that `mask` shows to each query.

    `query` is (B, H, Q, D), `key` and `value` (B, H, K, D), `mask` as `dense_mask` returns it.
    `dropout` falls on the probabilities. Returns (B, H, Q, D) in the type of `query`.
    """
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout
    )


def _sample_of_column(layout: Layout, columns_L: Tensor) -> Tensor:
    """(B, L): the sample place of each column, S for padding."""
    ends_BS = layout.lengths.cumsum(dim=1)
    columns_BL = columns_L.expand(ends_BS.shape[0], -1).contiguous()
    # A column lies after as many samples as have ended at or before it; unused places end where
    # the sample before them does, so they are stepped over.
    return torch.searchsorted(ends_BS, columns_BL, right=True)


def _in_part_a(layout: Layout, columns_L: Tensor, samples_BL: Tensor) -> Tensor:
    starts_BS = layout.lengths.cumsum(dim=1) - layout.lengths
    places_BL = samples_BL.clamp(max=layout.lengths.shape[1] - 1)
    part_b_starts_BL = (starts_BS + layout.boundaries).gather(1, places_BL)
    return columns_L < part_b_starts_BL
