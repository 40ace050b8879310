"""Rows -> their samples as columns, and what breaks the layout of docs/sample-format.md.

Stands before `sample_laws.py`. Everything here is read off the numbers beside the tokens, for all
rows at once; what is found wrong is kept from the laws that would trip over it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.laws.drawn import Bools
from pipeline.window_batch import Chosen, Ints
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat


class Problem(NamedTuple):
    """What is wrong in row `row` of the arrays; `sample` is the number in the row, None where it is
    the row's own. `what` says what was expected and what was found."""

    row: int
    sample: int | None
    what: str

    def __str__(self) -> str:
        place = "" if self.sample is None else f", sample {self.sample}"
        return f"row {self.row}{place}: {self.what}"


@dataclass(frozen=True, slots=True)
class Samples:
    """`m` samples in the order of the rows, each column (m,) int64.

    `rows` and `places` say where: the row, and the number there; `firsts` are the first tokens in
    the row. `objectives` count from 0. The last four columns are the samples' origin.
    """

    rows: Ints
    places: Ints
    firsts: Ints
    lengths: Ints
    boundaries: Ints
    objectives: Ints
    documents: Ints
    windows: Ints
    starts: Ints
    stops: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, chosen: Chosen | Bools) -> "Samples":
        """The samples `chosen`, in that order."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in Samples.__slots__})

    def problems(self, holds: Bools, what: Callable[[int], str]) -> list[Problem]:
        """One problem for each sample for which `holds` (m,) is false, told by its index."""
        return [
            Problem(int(self.rows[index]), int(self.places[index]), what(index))
            for index in np.flatnonzero(~holds).tolist()
        ]


def read_samples(
    arrays: RowArrays, row_format: RowFormat, pad: int
) -> tuple[Samples, list[Problem]]:
    """The samples of all rows whose lengths are lawful, and what is wrong with the layout.

    Lengths are positive, then 0, and sum up to `row_tokens` at most; every row has a sample. What
    is behind the last sample is padding, what belongs to no sample 0.
    """
    parts = {name: arrays.rows[:, place] for name, place in row_format.slices.items()}
    lengths = parts["lengths"].astype(np.int64)
    is_used, totals = lengths > 0, lengths.sum(axis=1)
    is_lawful = (totals > 0) & (totals <= row_format.row_tokens)
    is_lawful &= ~(is_used[:, 1:] & ~is_used[:, :-1]).any(axis=1)
    problems = [
        Problem(
            row,
            None,
            f"lengths {lengths[row].tolist()}: expected one or more, then zeros, of "
            f"{row_format.row_tokens} tokens at most together",
        )
        for row in np.flatnonzero(~is_lawful).tolist()
    ]
    fillers = {"tokens": pad, "labels": row_format.ignore, "positions": 0, "block_positions": 0}
    is_padding = np.arange(row_format.row_tokens) >= totals[:, None]
    unused = {name: parts[name] for name in ("boundaries", "objectives")}
    unused |= dict(zip(ORIGIN_COLUMNS, arrays.origin, strict=True))
    for name, filler in fillers.items():
        wrong = is_padding & (parts[name] != filler) & is_lawful[:, None]
        problems += _strays(parts[name], wrong, (f"padding of {name}", filler))
    for name, values in unused.items():
        wrong = ~is_used & (values != 0) & is_lawful[:, None]
        problems += _strays(values, wrong, (f"{name} of no sample", 0))
    rows, places = np.nonzero(is_used & is_lawful[:, None])
    columns = [np.cumsum(lengths, axis=1) - lengths, lengths, *list(unused.values())[:2]]
    chosen = [column[rows, places].astype(np.int64) for column in [*columns, *arrays.origin]]
    samples = Samples(rows, places, *chosen)
    return replace(samples, objectives=samples.objectives - 1), problems


def _strays(values: NDArray[Any], wrong: Bools, expected: tuple[str, int]) -> list[Problem]:
    """One problem for each row with numbers that are `wrong`: the first of them."""
    name, filler = expected
    found = []
    for row in np.flatnonzero(wrong.any(axis=1)).tolist():
        place = int(wrong[row].argmax())
        what = f"{name}, place {place}: expected {filler}, found {values[row, place]}"
        found.append(Problem(row, None, what))
    return found


def check_numbers(samples: Samples, is_allowed: Bools) -> tuple[Bools, list[Problem]]:
    """(m,) True where boundary and objective are lawful, and what is not, the origin's range too.

    `is_allowed` says which objectives the recipe gives samples.
    """
    codes = samples.objectives
    in_range = (codes >= 0) & (codes < len(is_allowed))
    is_known = in_range & is_allowed[np.where(in_range, codes, 0)]
    allowed = (np.flatnonzero(is_allowed) + 1).tolist()
    problems = samples.problems(
        is_known, lambda i: f"objective {codes[i] + 1}: expected one of {allowed}"
    )
    is_inside = samples.boundaries <= samples.lengths
    problems += samples.problems(
        is_inside,
        lambda i: (
            f"boundary {samples.boundaries[i]}: expected {samples.lengths[i]} at most, the "
            "sample's length"
        ),
    )
    has_text = samples.starts < samples.stops
    problems += samples.problems(
        has_text,
        lambda i: (
            f"its window is [{samples.starts[i]}, {samples.stops[i]}) of the document: "
            "expected tokens in it"
        ),
    )
    return is_known & is_inside & has_text, problems
