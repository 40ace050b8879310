"""Layout of rows: samples, then padding; numbers beside the tokens within what they count."""

import numpy as np
import pytest

from pipeline.sample_checks.row_laws import Problem, check_numbers, read_samples
from tests.sample_rows import MIXTURES, Packed, pack

PACKED = pack(MIXTURES["glm"])
ALL_LENGTHS = PACKED.arrays.rows[:, PACKED.row_format.slices["lengths"]].tolist()
ROW = next(n for n, found in enumerate(ALL_LENGTHS) if 1 < found.count(0) < 4 and sum(found) < 290)
LENGTHS = ALL_LENGTHS[ROW]
COUNT, TOKENS = LENGTHS.index(0), sum(LENGTHS)
HERE = f"row {ROW}"


def told(packed: Packed) -> list[str]:
    samples, problems = read_samples(packed.arrays, packed.row_format, pad=0)
    allowed = np.ones(len(packed.row_format.objectives), bool)
    return [str(problem) for problem in problems + check_numbers(samples, allowed)[1]]


def test_samples_stand_one_after_another_from_the_first_token_on() -> None:
    samples, problems = read_samples(PACKED.arrays, PACKED.row_format, pad=0)
    assert problems == []
    assert told(PACKED) == []
    own = samples.part(samples.rows == ROW)
    assert own.places.tolist() == list(range(COUNT))
    assert own.lengths.tolist() == LENGTHS[:COUNT]
    assert own.firsts.tolist() == [0, *np.cumsum(LENGTHS[: COUNT - 1])]
    origin = np.stack([own.documents, own.windows, own.starts, own.stops])
    assert (origin == PACKED.arrays.origin[:, ROW, :COUNT]).all()
    codes = PACKED.arrays.rows[ROW, PACKED.row_format.slices["objectives"]][:COUNT]
    assert (own.objectives + 1 == codes).all()


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0), (0, 300), (COUNT - 1, 65535), (len(LENGTHS) - 1, 1)]
)
def test_lengths_are_positive_then_zero_and_fit_the_row(place: int, value: int) -> None:
    damaged = PACKED.having(ROW, "lengths", place, value)
    found = [value if at == place else length for at, length in enumerate(LENGTHS)]
    assert told(damaged) == [
        f"{HERE}: lengths {found}: expected one or more, then zeros, of 300 tokens at most together"
    ]


def test_every_row_has_a_sample() -> None:
    damaged = PACKED
    for place in range(COUNT):
        damaged = damaged.having(ROW, "lengths", place, 0)
    assert [one.startswith(f"{HERE}: lengths [0, 0,") for one in told(damaged)] == [True]
    assert sum(damaged.check().samples.values()) == sum(PACKED.check().samples.values()) - COUNT


@pytest.mark.parametrize(
    ("name", "filler"),
    [("tokens", 0), ("labels", 65535), ("positions", 0), ("block_positions", 0)],
)
def test_what_is_behind_the_last_sample_is_padding(name: str, filler: int) -> None:
    for place in (TOKENS, 299):
        assert told(PACKED.having(ROW, name, place, 9)) == [
            f"{HERE}: padding of {name}, place {place}: expected {filler}, found 9"
        ]


@pytest.mark.parametrize("name", ["boundaries", "objectives"])
def test_numbers_of_no_sample_are_0(name: str) -> None:
    assert told(PACKED.having(ROW, name, COUNT, 1)) == [
        f"{HERE}: {name} of no sample, place {COUNT}: expected 0, found 1"
    ]


@pytest.mark.parametrize("name", ["document", "window", "start", "stop"])
def test_the_origin_of_no_sample_is_0(name: str) -> None:
    assert told(PACKED.from_elsewhere(ROW, COUNT, name, 4)) == [
        f"{HERE}: {name} of no sample, place {COUNT}: expected 0, found 4"
    ]


@pytest.mark.parametrize("code", [0, 6, 65535])
def test_an_objective_is_one_of_the_format(code: int) -> None:
    assert told(PACKED.having(ROW, "objectives", 0, code)) == [
        f"{HERE}, sample 0: objective {code}: expected one of [1, 2, 3, 4, 5]"
    ]


def test_an_objective_without_a_share_has_no_samples() -> None:
    samples, _ = read_samples(PACKED.arrays, PACKED.row_format, pad=0)
    holds, problems = check_numbers(samples, np.array([True, True, True, True, False]))
    assert (holds == (samples.objectives != 4)).all()
    assert len(problems) == (~holds).sum() > 0
    assert problems[0].what == "objective 5: expected one of [1, 2, 3, 4]"


def test_a_boundary_is_within_its_sample() -> None:
    assert told(PACKED.having(ROW, "boundaries", 0, LENGTHS[0] + 1)) == [
        f"{HERE}, sample 0: boundary {LENGTHS[0] + 1}: expected {LENGTHS[0]} at most, the "
        "sample's length"
    ]


def test_a_window_has_tokens() -> None:
    start = int(PACKED.arrays.origin[2, ROW, 0])
    assert told(PACKED.from_elsewhere(ROW, 0, "stop", start)) == [
        f"{HERE}, sample 0: its window is [{start}, {start}) of the document: expected tokens in it"
    ]


def test_a_problem_says_where_it_is() -> None:
    assert str(Problem(3, None, "too long")) == "row 3: too long"
    assert str(Problem(3, 2, "too long")) == "row 3, sample 2: too long"
