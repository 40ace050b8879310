"""Rows: every sample in exactly one row, and each row decodes to the samples put in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.packing import OPEN_ROWS, Packer, decode_row, empty_rows, encode_sample
from schemas.objectives import IGNORE_INDEX
from schemas.samples import RowFormat, Sample
from tests.strategies import SPECIAL

FORMAT = RowFormat.for_vocabulary(500, 64, 4, ("blank", "document"))
lengths = st.lists(st.integers(1, 64), max_size=300)


def sample_of(length: int, number: int) -> Sample:
    tokens = np.arange(length, dtype=np.int32) + number % 100 + 8
    boundary = length // 2
    labels = np.where(np.arange(length) < boundary, IGNORE_INDEX, tokens).astype(np.int32)
    order = np.arange(length, dtype=np.int32)
    return Sample(tokens, labels, order, order // 2, boundary, objective=1 + number % 2)


def packed(all_lengths: list[int]) -> tuple[list[tuple[int, int, int]], list[int]]:
    packer = Packer(FORMAT.row_tokens, FORMAT.max_samples)
    places = [packer.place(length) for length in all_lengths]
    packer.finish()
    return places, packer.closed


@given(lengths)
def test_every_sample_lands_in_exactly_one_row_that_holds_it(all_lengths: list[int]) -> None:
    places, closed = packed(all_lengths)
    rows: dict[int, list[tuple[int, int, int]]] = {}
    for length, (row, first, number) in zip(all_lengths, places, strict=True):
        rows.setdefault(row, []).append((number, first, length))
    assert sorted(closed) == sorted(rows)
    for samples in rows.values():
        assert [number for number, _, _ in samples] == list(range(len(samples)))
        firsts = np.cumsum([0, *(length for _, _, length in samples)]).tolist()
        assert [first for _, first, _ in samples] == firsts[:-1]
        assert firsts[-1] <= FORMAT.row_tokens
        assert len(samples) <= FORMAT.max_samples


@given(lengths)
def test_encoded_rows_decode_to_their_samples(all_lengths: list[int]) -> None:
    places, closed = packed(all_lengths)
    rows = empty_rows(len(closed), FORMAT, SPECIAL.pad)
    expected: list[list[Sample]] = [[] for _ in closed]
    for number, (length, (row, first, place)) in enumerate(zip(all_lengths, places, strict=True)):
        sample = sample_of(length, number)
        encode_sample(rows[row], sample, (first, place), sample.objective, FORMAT)
        expected[row].append(sample)
    for samples, values in zip(expected, rows, strict=True):
        for sample, decoded in zip(samples, decode_row(values, FORMAT), strict=True):
            for name in ("tokens", "labels", "positions", "block_positions"):
                np.testing.assert_array_equal(getattr(sample, name), getattr(decoded, name))
            assert (sample.boundary, sample.objective) == (decoded.boundary, decoded.objective)


def test_what_no_sample_covers_is_padding_that_is_ignored() -> None:
    rows = empty_rows(1, FORMAT, SPECIAL.pad)
    encode_sample(rows[0], sample_of(10, 0), (0, 0), 1, FORMAT)
    slices = FORMAT.slices
    assert set(rows[0, slices["tokens"]][10:].tolist()) == {SPECIAL.pad}
    assert set(rows[0, slices["labels"]][10:].tolist()) == {FORMAT.ignore}
    assert not rows[0, slices["positions"]][10:].any()
    assert rows[0, slices["lengths"]].tolist() == [10, 0, 0, 0]


def test_best_fit_fills_rows_of_many_short_samples() -> None:
    lengths_drawn = np.random.default_rng(0).integers(5, 40, 2000).tolist()
    packer = Packer(64, 16)
    for length in lengths_drawn:
        packer.place(length)
    packer.finish()
    assert sum(lengths_drawn) / (64 * len(packer.closed)) > 0.98


def test_a_row_is_closed_once_too_many_are_open() -> None:
    packer, closed = Packer(FORMAT.row_tokens, FORMAT.max_samples), []
    for _ in range(OPEN_ROWS + 3):
        packer.place(40)
        closed.append(len(packer.closed))
    assert closed == [0] * OPEN_ROWS + [1, 2, 3]


def test_the_row_type_is_as_narrow_as_vocabulary_and_ignore_allow() -> None:
    for vocab_size, row_tokens, dtype in (
        (65535, 512, "uint16"),
        (65536, 512, "uint32"),
        (100, 65534, "uint16"),
        (100, 65535, "uint32"),
    ):
        row_format = RowFormat.for_vocabulary(vocab_size, row_tokens, 4, ("blank",))
        assert row_format.dtype == dtype
        assert vocab_size - 1 < row_format.ignore
