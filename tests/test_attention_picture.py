"""Pictures of the mask: what is filled is seen, and what is seen is filled."""

import re
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.pages.attention_picture import block_picture, mask_areas, row_svg, sample_svg, svg_path


def covered(path: str, size: int) -> np.ndarray:
    """Which cells (size, size) an SVG path of horizontal and vertical lines fills (even-odd)."""
    crossed = np.zeros((size, size + 1), bool)
    for part in path.split("Z")[:-1]:
        x = y = 0
        start = (0, 0)
        for command, numbers in [*re.findall(r"([MHVhv])([\d ]+)", part), ("Z", "")]:
            to = (x, y)
            if command == "M":
                x, y = start = to = tuple(map(int, numbers.split()))
            elif command in "Hh":
                to = (int(numbers) + x * (command == "h"), y)
            elif command in "Vv":
                to = (x, int(numbers) + y * (command == "v"))
            else:
                to = start
            crossed[min(y, to[1]) : max(y, to[1]), x] ^= x == to[0]
            x, y = to
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1]


def defined(lengths: Sequence[int], boundaries: Sequence[int], size: int) -> np.ndarray:
    """The mask by its definition, cell by cell; padding sees itself."""
    mask, first = np.eye(size, dtype=bool), 0
    for length, boundary in zip(lengths, boundaries, strict=True):
        for i in range(first, first + length):
            for j in range(first, first + length):
                mask[i, j] = j < first + boundary or j <= i
        first += length
    return mask


def painted(svg: str, size: int) -> np.ndarray:
    """Union of the filled paths of a picture; edges are lines, rulers lie outside."""
    paths = re.findall(r'<path class="(?!edge|lines)[^"]*" d="([^"-]*)"', svg)
    cells = [covered(path, size) for path in paths]
    assert np.sum(cells, axis=0).max() == 1
    return np.any(cells, axis=0)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    lengths = draw(st.lists(st.integers(1, 14), min_size=1, max_size=4))
    return lengths, [draw(st.integers(0, length)) for length in lengths]


@given(layouts(), st.integers(0, 9))
def test_the_picture_of_a_row_is_its_mask(layout: tuple[list[int], list[int]], rest: int) -> None:
    lengths, boundaries = layout
    size = sum(lengths) + rest
    svg = row_svg(boundaries, lengths, size, "title")
    assert (painted(svg, size) == defined(lengths, boundaries, size)).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_the_picture_of_a_sample_is_its_mask_whatever_its_spans(
    owners: list[int], data: st.DataObject
) -> None:
    size = len(owners)
    boundary = data.draw(st.integers(0, size))
    mask = defined([size], [boundary], size)
    assert (painted(sample_svg(boundary, owners, "title"), size) == mask).all()
    for area in mask_areas(boundary, owners):
        columns = owners[slice(*area.columns)]
        assert area.columns.start < boundary or set(columns) == {area.span}
        assert covered(svg_path([area]), size).any()


@given(st.integers(1, 60), st.data())
def test_block_characters_show_the_mask_exactly_where_they_have_room(
    length: int, data: st.DataObject
) -> None:
    boundary = data.draw(st.integers(0, length))
    lines = block_picture(length, boundary, 60)
    halves = [[c in half for c in line] for line in lines for half in ("▀█", "▄█")][:length]
    assert (np.array(halves) == defined([length], [boundary], length)).all()
    assert max(map(len, block_picture(length, boundary, 8))) == min(8, length)
