"""The copy of rows from anywhere in memory, cut into parts."""

import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shard_reading import copied_memory
from pipeline.shard_reading.copied_memory import copy_rows

ITEM_BYTES = 6
PLACES = [np.random.default_rng(seed).bytes(600) for seed in range(3)]
BASES = [np.frombuffer(place, np.uint8).ctypes.data for place in PLACES]

wanted = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 600 - ITEM_BYTES)), max_size=40)


def expected(where: list[tuple[int, int]]) -> list[bytes]:
    return [PLACES[place][at : at + ITEM_BYTES] for place, at in where]


def copied(parts: list[list[tuple[int, int]]]) -> list[list[bytes]]:
    addresses = np.array([BASES[place] + at for part in parts for place, at in part], np.int64)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    found = copy_rows(addresses, "uint8", ITEM_BYTES, ends)
    return [[item.tobytes() for item in part] for part in found]


@given(st.lists(wanted, min_size=1, max_size=5))
def test_every_part_has_the_bytes_at_its_addresses(parts: list[list[tuple[int, int]]]) -> None:
    assert copied(parts) == [expected(part) for part in parts]


@given(st.lists(wanted, min_size=1, max_size=5))
def test_memory_too_far_apart_for_one_array_is_copied_in_halves(
    parts: list[list[tuple[int, int]]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copied_memory, "_MAX_EXTENT", 100 * ITEM_BYTES)
        assert copied(parts) == [expected(part) for part in parts]


@given(st.lists(wanted, min_size=1, max_size=5), st.integers(1, 30))
def test_parts_are_the_same_however_many_share_a_piece(
    parts: list[list[tuple[int, int]]], piece_items: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copied_memory, "_MIN_PIECE_ITEMS", piece_items)
        assert copied(parts) == [expected(part) for part in parts]


def test_what_is_copied_may_be_written_to_and_changes_nothing_else() -> None:
    first, second = copy_rows(np.array([BASES[0], BASES[0] + 1]), "uint8", ITEM_BYTES, [1, 2])
    first[:] = 0
    assert second.tobytes() == PLACES[0][1 : 1 + ITEM_BYTES]
    assert first.tobytes() != PLACES[0][:ITEM_BYTES]


COPYING = """
import resource
import numpy as np
from pipeline.shard_reading.copied_memory import copy_rows, keep_freed_memory
source = np.ones((4096, 4096), np.uint8)
addresses = source.ctypes.data + 4096 * np.arange(4096)
keep_freed_memory()
def copies(count):
    for _ in range(count):
        copy_rows(addresses, "uint8", 4096, range(64, 4097, 64))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
copies(3)
print(-copies(0) + copies(10))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do as they like")
def test_what_was_copied_before_makes_room_for_what_is_copied_next() -> None:
    command = [sys.executable, "-c", COPYING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.01 * 10 * 4096  # faults a page: without it, one
