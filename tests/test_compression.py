"""Compressed input: told by content, given up to the damage, the rest placed."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.compression import compression_of, decompressed
from pipeline.readers.reads import UnusableInput
from tests.text_inputs import zstandard

WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard,
}
RANDOM = np.random.default_rng(1)
WORDS = b"".join(b"word%d " % number for number in RANDOM.integers(0, 9999, 60_000))
KINDS = pytest.mark.parametrize("kind", WRITERS)


def unpack(packed: bytes, kind: str, step: int = 100_000) -> tuple[bytes, UnusableInput | None]:
    """What can be had, read in steps, and what ended it."""
    stream, found = decompressed(io.BytesIO(packed), kind), b""
    try:
        while part := stream.read(step):
            found += part
    except UnusableInput as why:
        return found, why
    return found, None


@KINDS
@given(content=st.binary(max_size=2000), step=st.integers(1, 3000))
def test_content_comes_back_in_any_steps(kind: str, content: bytes, step: int) -> None:
    packed = WRITERS[kind](content)
    assert compression_of(packed) == kind
    assert unpack(packed, kind, step) == (content, None)


@KINDS
def test_reads_give_exactly_what_is_asked_for(kind: str) -> None:
    stream = decompressed(io.BytesIO(WRITERS[kind](WORDS)), kind)
    sizes = [1, 7, 70_000, 2, len(WORDS)]
    parts = [stream.read(size) for size in sizes]
    assert [len(part) for part in parts] == [1, 7, 70_000, 2, len(WORDS) - 70_010]
    assert b"".join(parts) == WORDS


@KINDS
def test_members_behind_one_another_are_one_stream(kind: str) -> None:
    one, two = WRITERS[kind](WORDS), WRITERS[kind](b"more")
    assert unpack(one + two, kind) == (WORDS + b"more", None)
    found, why = unpack(one + b"no member", kind)
    assert found == WORDS
    assert why is not None
    assert why.reason == f"damaged_{kind}"
    if kind != "zst":
        assert unpack(one + bytes(700) + two + bytes(9), kind) == (WORDS + b"more", None)


@KINDS
@pytest.mark.parametrize("cut", [1, 10, 1000, 50_000])
def test_what_precedes_a_cut_is_given(kind: str, cut: int) -> None:
    packed = WRITERS[kind](WORDS)[:-cut]
    found, why = unpack(packed, kind)
    assert WORDS.startswith(found)
    lost = {"bz2": 900_000, "zst": 140_000}.get(kind, 1000) + 5 * cut
    assert len(found) >= len(WORDS) - lost
    assert why is not None
    assert why.reason == f"damaged_{kind}"
    assert f" of its {len(packed)} bytes were not read" in why.detail


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_a_failed_check_sum_costs_no_content_but_is_told(kind: str) -> None:
    packed = bytearray(WRITERS[kind](WORDS))
    packed[-6 if kind == "gzip" else -30] ^= 1
    found, why = unpack(bytes(packed), kind)
    assert found == WORDS
    assert why is not None
    assert why.reason == f"damaged_{kind}"


@KINDS
def test_a_step_of_much_output_stays_small(kind: str) -> None:
    zeros = WRITERS[kind](bytes(50_000_000))
    stream = decompressed(io.BytesIO(zeros), kind)
    assert len(stream.read(10)) == 10
    assert len(getattr(stream, "_ready", b"")) <= 2**18


def test_an_xz_that_asks_for_too_much_memory_is_damaged() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**29}]
    found, why = unpack(lzma.compress(WORDS, filters=filters), "xz")
    assert found == b""
    assert why is not None
    assert why.reason == "damaged_xz"


def test_plain_text_has_no_compression() -> None:
    for head in (b"", b"{", b"BZh9 is a word", b"PK", "\ufeffa".encode("utf-16")):
        assert compression_of(head) == ""
    assert compression_of(bz2.compress(b"")) == "bz2"
