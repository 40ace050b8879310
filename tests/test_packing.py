"""Rows: every sample in exactly one row, and each row decodes to the samples put in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.packing import OPEN_ROWS, Packer, decode_row, encode_rows
from schemas.objectives import IGNORE_INDEX
from schemas.samples import RowFormat, Sample
from tests.strategies import SPECIAL

FORMAT = RowFormat.for_vocabulary(500, 64, 4, ("blank", "document"))
lengths = st.lists(st.integers(1, 64), max_size=300)


def sample_of(length: int, number: int) -> Sample:
    tokens = np.arange(length, dtype=np.int32) + number % 100 + 8
    boundary = length // 2
    labels = np.where(np.arange(length) < boundary, IGNORE_INDEX, tokens).astype(np.int32)
    return Sample(
        tokens=tokens,
        labels=labels,
        positions=np.arange(length, dtype=np.int32),
        block_positions=np.arange(length, dtype=np.int32) // 2,
        boundary=boundary,
        objective=1 + number % 2,
        document=number,
        window=number + 1,
        start=number + 2,
        stop=number + 3,
    )


def packed(all_lengths: list[int], row_format: RowFormat = FORMAT) -> list[list[Sample]]:
    packer, rows = Packer(row_format), []
    for number, length in enumerate(all_lengths):
        rows += packer.add(sample_of(length, number))
    return rows + list(packer.finish())


@given(lengths)
def test_every_sample_lands_in_exactly_one_row_that_holds_it(all_lengths: list[int]) -> None:
    rows = packed(all_lengths)
    assert sorted(s.document for row in rows for s in row) == list(range(len(all_lengths)))
    assert all(sum(len(s.tokens) for s in row) <= FORMAT.row_tokens for row in rows)
    assert all(1 <= len(row) <= FORMAT.max_samples for row in rows)


@given(lengths)
def test_encoded_rows_decode_to_their_samples(all_lengths: list[int]) -> None:
    rows = packed(all_lengths)
    arrays = encode_rows(rows, FORMAT, SPECIAL.pad)
    for row, values, number in zip(rows, arrays.rows, range(len(rows)), strict=True):
        for place, (sample, decoded) in enumerate(
            zip(row, decode_row(values, FORMAT), strict=True)
        ):
            for name in ("tokens", "labels", "positions", "block_positions"):
                np.testing.assert_array_equal(getattr(sample, name), getattr(decoded, name))
            assert (sample.boundary, sample.objective) == (decoded.boundary, decoded.objective)
            origin = arrays.origin[:, number, place].tolist()
            assert origin == [sample.document, sample.window, sample.start, sample.stop]


def test_what_no_sample_covers_is_padding() -> None:
    arrays = encode_rows([[sample_of(10, 0)]], FORMAT, pad=0)
    slices, row = FORMAT.slices, arrays.rows[0]
    assert (row[slices["tokens"]][10:] == 0).all()
    assert (row[slices["labels"]][10:] == FORMAT.ignore).all()
    assert not row[slices["positions"]][10:].any()
    assert row[slices["lengths"]].tolist() == [10, 0, 0, 0]
    assert row[slices["objectives"]].tolist() == [1, 0, 0, 0]


def test_best_fit_fills_rows_of_many_short_samples() -> None:
    lengths_drawn = np.random.default_rng(0).integers(5, 40, 2000).tolist()
    rows = packed(lengths_drawn, RowFormat.for_vocabulary(500, 64, 16, ("blank",)))
    assert sum(lengths_drawn) / (64 * len(rows)) > 0.98


def test_a_row_comes_out_once_too_many_are_open() -> None:
    packer = Packer(FORMAT)
    closed = [len(packer.add(sample_of(40, number))) for number in range(OPEN_ROWS + 3)]
    assert closed == [0] * OPEN_ROWS + [1] * 3


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
