"""Names of orders, and which one a stream takes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders.order_names import (
    OrderWish,
    chosen_shards,
    order_arguments,
    order_name,
    window_shards_of,
)
from schemas.errors import UserError
from schemas.manifest import TableBlock
from schemas.samples import RowFormat
from schemas.train_config import MAX_WINDOW_SHARDS
from tests.manifests import manifest_of

ROW_FORMAT = RowFormat(512, 8, "uint16", ("blank",))


def manifest(rows: int, shards: int):
    blocks = (TableBlock("train", shards, 0, rows), TableBlock("heldout", 1, 0, 1))
    return manifest_of(
        rows={"train": rows, "heldout": 1}, table_blocks=blocks, row_format=ROW_FORMAT
    )


def test_every_name_leads_back_to_its_windows():
    for shards in (None, 1, 16, MAX_WINDOW_SHARDS):
        assert window_shards_of(order_name(shards)) == shards


@pytest.mark.parametrize(
    "name",
    ["", "auto", "windowed", "windowed/0", "windowed/-1", "windowed/07", "windowed/16385", 3, None,
     ["global"], "windowed/2 ", "Global", "windowed/\u0664"],
)  # fmt: skip
def test_what_is_no_order_is_refused(name):
    with pytest.raises(ValueError, match=r"expected 'global' or 'windowed/K', K in 1\.\.16384"):
        window_shards_of(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shuffled",), "order='shuffled': expected 'auto', 'global' or 'windowed'"),
        (("windowed/2",), "order='windowed/2': expected .* said by window_shards=K beside it"),
        ((None,), "order=None: expected"),
        (("windowed", 0), r"window_shards=0: expected an integer in 1\.\.16384"),
        (("windowed", 2.0), r"window_shards=2\.0: expected an integer"),
        (("windowed", True), "window_shards=True: expected an integer"),
        (("global", 4), "window_shards=4 beside order='global', which has no windows"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        OrderWish(*arguments)


def test_an_order_is_told_as_the_arguments_that_ask_for_it():
    assert order_arguments("global") == "order='global'"
    assert order_arguments("windowed/64") == "order='windowed', window_shards=64"
    assert OrderWish("windowed", 64).resume("windowed/64", "chosen", True) == "windowed/64"


@pytest.mark.parametrize(
    ("wish", "mapped", "other"),
    [
        (OrderWish(), "global", "windowed/64"),
        (OrderWish("auto", 3), "windowed/3", "windowed/3"),
        (OrderWish("global"), "global", "global"),
        (OrderWish("windowed", 3), "windowed/3", "windowed/3"),
    ],
)
def test_auto_is_global_where_everything_is_mapped_and_no_window_is_given(wish, mapped, other):
    manifests = [manifest(4096, 4)]
    assert wish.choose(manifests, "train", True) == mapped
    assert wish.choose(manifests, "train", False) == other


@pytest.mark.parametrize(
    ("wish", "recorded", "is_mapped", "found"),
    [
        (OrderWish(), "windowed/8", True, "windowed/8"),
        (OrderWish(), "global", True, "global"),
        (OrderWish(), "global", False, "chosen"),
        (OrderWish("global"), "global", False, "global"),
        (OrderWish("global"), "windowed/8", True, "chosen"),
        (OrderWish("windowed"), "windowed/8", True, "windowed/8"),
        (OrderWish("windowed", 8), "windowed/8", True, "windowed/8"),
        (OrderWish("windowed", 4), "windowed/8", True, "chosen"),
        (OrderWish("windowed"), "global", True, "chosen"),
        (OrderWish("auto", 4), "global", True, "chosen"),
        (OrderWish("auto", 4), "windowed/4", True, "windowed/4"),
        (OrderWish("auto", 4), "windowed/8", True, "chosen"),
    ],
)
def test_what_was_left_open_is_as_recorded(wish, recorded, is_mapped, found):
    assert wish.resume(recorded, "chosen", is_mapped) == found


def test_a_window_of_all_data_sets_has_about_a_gibibyte():
    row_bytes = ROW_FORMAT.width * 2
    large = manifest((1 << 28) // row_bytes * 10, 10)
    assert chosen_shards([large], "train") == 4
    assert chosen_shards([large, large], "train") == 2
    assert chosen_shards([large] * 9, "train") == 2
    assert chosen_shards([large] * 200, "train") == 1
    assert chosen_shards([manifest(100, 50)], "train") == 64
    many = manifest(1 << 20, 1 << 20)
    assert [chosen_shards([many] * n, "train") for n in (4, 8, 300)] == [64, 32, 1]
    uneven = replace(large, row_format=replace(ROW_FORMAT, dtype="uint32"))
    assert chosen_shards([uneven], "train") == 2


@given(st.integers(1, 10**10), st.integers(1, 10**6))
def test_a_window_has_two_to_sixty_four_shards(rows, shards):
    assert 2 <= chosen_shards([manifest(rows, shards)], "train") <= 64
