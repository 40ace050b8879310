"""The build section: how many rows a record batch has."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.build_config import MAX_CHOSEN_BATCH_ROWS, RECORD_BATCH_BYTES, BuildConfig
from schemas.samples import RowFormat

FORMATS = st.builds(
    RowFormat,
    st.integers(1, 2**20),
    st.integers(1, 4096),
    st.sampled_from(["uint16", "uint32"]),
    st.just(("blank",)),
)


@given(row_format=FORMATS, shard_rows=st.integers(1, 2**20))
def test_a_chosen_record_batch_is_the_largest_power_of_two_that_is_allowed(
    row_format: RowFormat, shard_rows: int
) -> None:
    rows = BuildConfig(shard_rows=shard_rows).batch_rows(row_format)
    assert rows.bit_count() == 1
    assert rows == 1 or rows * row_format.row_bytes <= RECORD_BATCH_BYTES
    assert rows <= min(shard_rows, MAX_CHOSEN_BATCH_ROWS)
    twice = 2 * rows
    fits = twice * row_format.row_bytes <= RECORD_BATCH_BYTES
    assert not fits or twice > min(shard_rows, MAX_CHOSEN_BATCH_ROWS)


@pytest.mark.parametrize(
    ("row_tokens", "dtype", "rows"),
    [
        (16, "uint16", 2048),
        (448, "uint16", 256),
        (4480, "uint16", 16),
        (4736, "uint32", 8),
        (10**6, "uint32", 1),
    ],
)
def test_record_batches_have_about_a_mebibyte(row_tokens: int, dtype: str, rows: int) -> None:
    row_format = RowFormat(row_tokens, 64, dtype, ("blank",))
    assert BuildConfig().batch_rows(row_format) == rows


@given(row_format=FORMATS, rows=st.integers(1, 10**6))
def test_a_number_that_was_given_is_kept(row_format: RowFormat, rows: int) -> None:
    assert replace(BuildConfig(), record_batch_rows=rows).batch_rows(row_format) == rows


@pytest.mark.parametrize("shard_rows", [1, 5000, 65536])
def test_shards_need_be_no_multiple_of_what_is_chosen(shard_rows: int) -> None:
    config = BuildConfig(shard_rows=shard_rows)
    config.check()
    assert config.batch_rows(RowFormat(4096, 64, "uint16", ("blank",))) <= shard_rows
