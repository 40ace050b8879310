"""Content is compared with its hashes region by region, however it comes."""

import itertools

from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.shard_cache.regions import damage_of
from schemas.manifest import FileHashes
from tests.cached_files import content_of, hashes_of

contents = st.binary(max_size=200)
sizes = st.integers(1, 12)


def pieces(content: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    return [content[start:stop] for start, stop in itertools.pairwise(edges)]


@given(contents, sizes, st.lists(st.integers(0, 200)))
def test_what_was_recorded_has_no_damage_however_it_is_cut(
    content: bytes, regions: int, cuts: list[int]
) -> None:
    assert damage_of(pieces(content, cuts), hashes_of(content, regions)) == ""


@given(contents, sizes, st.lists(st.integers(0, 200)), st.integers(0, 199), st.integers(0, 7))
def test_a_flipped_bit_is_found_in_its_region(
    content: bytes, regions: int, cuts: list[int], position: int, bit: int
) -> None:
    assume(content)
    position %= len(content)
    flipped = bytearray(content)
    flipped[position] ^= 1 << bit
    hashes = hashes_of(content, regions)
    number = max(n for n in range(regions) if hashes.offsets[n] <= position)
    start, stop = hashes.offsets[number : number + 2]
    damage = damage_of(pieces(bytes(flipped), cuts), hashes)
    assert damage.startswith(f"region {number} of {regions} (bytes {start}..{stop}) is damaged: ")
    found = hashes_of(bytes(flipped), regions).xxh3[number]
    assert damage.endswith(f"expected xxh3 {hashes.xxh3[number]:016x}, found {found:016x}")


@given(contents, sizes, st.lists(st.integers(0, 200)), st.binary(min_size=1, max_size=50))
def test_another_length_is_found(
    content: bytes, regions: int, cuts: list[int], more: bytes
) -> None:
    hashes = hashes_of(content, regions)
    longer = damage_of(pieces(content + more, cuts), hashes)
    assert longer == f"longer than the {len(content)} bytes expected"
    for length in range(0, len(content), 7):
        found = damage_of(pieces(content[:length], cuts), hashes)
        assert found == f"{length} bytes long, expected {len(content)}"


def test_what_comes_behind_the_damage_is_not_asked_for() -> None:
    content = content_of(0, 50)
    coming = iter([content[:10], b"0123456789", content[20:30], content[30:]])
    assert damage_of(coming, hashes_of(content, 5)).startswith("region 1 of 5 (bytes 10..20)")
    assert list(coming) == [content[20:30], content[30:]]


def test_a_file_without_bytes_has_no_damage() -> None:
    assert damage_of([], hashes_of(b"", 3)) == ""
    assert damage_of([], FileHashes(0, "0" * 64, (0,), ())) == ""
    assert damage_of([b"x"], FileHashes(0, "0" * 64, (0,), ())) != ""
