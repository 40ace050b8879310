"""The record of a run's stream: which rows each step took, cut back where steps are taken again."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from jobs.stream_record import (
    STREAM_NAME,
    Stretch,
    places_of,
    read_stretches,
    record_stretch,
    stretch_of,
)
from pipeline.dataset import open_dataset
from pipeline.stream import RowStream
from schemas.errors import CorruptDataError, RunError, UserError
from schemas.sealed import seal
from tests.datasets import flip, write_dataset

SEGMENT = {"first_row": 0, "datasets": {"a": 1.0}, "seed": 1, "order": "global"}
FIRST = Stretch(0, 0, 8, (SEGMENT,), {"a": "/data/a"}, world_size=1)


def test_steps_take_the_rows_behind_each_other(tmp_path: Path) -> None:
    record_stretch(tmp_path, FIRST)
    record_stretch(tmp_path, replace(FIRST, step=10, first_row=80, batch_rows=16))
    ranges = [stretch_of(tmp_path, step).rows_of(step) for step in (1, 2, 10, 11, 12)]
    assert ranges == [(0, 8), (8, 16), (72, 80), (80, 96), (96, 112)]


@pytest.mark.parametrize("world_size", [1, 3, 8, 11])
def test_ranks_share_a_step_as_they_share_a_batch(tmp_path: Path, world_size: int) -> None:
    folder = write_dataset(tmp_path / "data")
    stretch = replace(FIRST, world_size=world_size)
    found = [stretch.rows_of(3, rank) for rank in range(world_size)]
    for rank, (start, stop) in enumerate(found):
        with RowStream(folder, 8, rank=rank, world_size=world_size, consumed_rows=16) as stream:
            assert len(next(stream)) == stop - start
    assert [start for start, _ in found] == [16, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == 24


def test_a_record_without_ranks_is_of_one(tmp_path: Path) -> None:
    content = asdict(FIRST)
    del content["world_size"]
    (tmp_path / STREAM_NAME).write_text(seal({"stretches": [content]}))
    assert read_stretches(tmp_path) == [FIRST]


def changed(times: int) -> list[Stretch]:
    """What a run records whose ten data sets get other weights as often."""
    found: list[Stretch] = []
    for step in range(times):
        weights = {f"{digest:064}": 1.0 + step for digest in range(10)}
        segment = {**SEGMENT, "first_row": 8 * step, "datasets": weights}
        before = found[-1].segments if found else ()
        places = dict.fromkeys(weights, "/data/a")
        found.append(Stretch(step, 8 * step, 8, (*before, segment), places, 1))
    return found


def size_of(run: Path, stretches: list[Stretch]) -> int:
    run.mkdir()
    for stretch in stretches:
        record_stretch(run, stretch)
    assert read_stretches(run) == stretches
    return (run / STREAM_NAME).stat().st_size


def test_a_record_grows_with_the_changes_not_with_their_square(tmp_path: Path) -> None:
    few, more = (size_of(tmp_path / str(times), changed(times)) for times in (50, 200))
    assert more < 4.1 * few


def test_a_record_with_all_segments_in_each_stretch_is_read(tmp_path: Path) -> None:
    stretches = changed(3)
    content = {"stretches": [asdict(one) for one in stretches]}
    (tmp_path / STREAM_NAME).write_text(seal(content))
    assert read_stretches(tmp_path) == stretches
    last = replace(stretches[-1], step=3, first_row=24, batch_rows=2)
    record_stretch(tmp_path, last)
    assert read_stretches(tmp_path) == [*stretches, last]


def test_segments_that_do_not_follow_each_other_are_kept(tmp_path: Path) -> None:
    first, second, third = changed(3)
    other = replace(third, segments=(first.segments[0], {**SEGMENT, "first_row": 9}))
    short = replace(third, step=3, segments=first.segments)
    size_of(tmp_path / "run", [first, second, other, short])


def test_another_number_of_ranks_is_recorded(tmp_path: Path) -> None:
    record_stretch(tmp_path, FIRST)
    shared = replace(FIRST, step=5, first_row=40, world_size=4)
    record_stretch(tmp_path, shared)
    assert read_stretches(tmp_path) == [FIRST, shared]


def test_a_run_that_goes_on_as_before_records_nothing(tmp_path: Path) -> None:
    record_stretch(tmp_path, FIRST)
    record_stretch(tmp_path, replace(FIRST, step=5, first_row=40))
    assert read_stretches(tmp_path) == [FIRST]


def test_another_place_of_the_same_data_is_recorded(tmp_path: Path) -> None:
    record_stretch(tmp_path, FIRST)
    moved = replace(FIRST, step=5, first_row=40, places={"a": "/elsewhere"})
    record_stretch(tmp_path, moved)
    assert read_stretches(tmp_path) == [FIRST, moved]


def test_what_will_be_taken_again_is_forgotten(tmp_path: Path) -> None:
    second, third = (replace(FIRST, step=s, first_row=8 * s, batch_rows=s) for s in (5, 9))
    for stretch in (FIRST, second, third):
        record_stretch(tmp_path, stretch)
    again = replace(FIRST, step=7, first_row=52, batch_rows=2)
    record_stretch(tmp_path, again)
    assert read_stretches(tmp_path) == [FIRST, second, again]
    record_stretch(tmp_path, replace(FIRST, step=5, first_row=40))
    assert read_stretches(tmp_path) == [FIRST]
    other = replace(FIRST, batch_rows=3)
    record_stretch(tmp_path, other)
    assert read_stretches(tmp_path) == [other]


def test_places_hold_wherever_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset("data")
    assert places_of([dataset]) == {dataset.digest: str((tmp_path / "data").resolve())}


def test_steps_of_which_nothing_was_recorded_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"stream\.json: cannot be read .*; restore it from a copy"):
        stretch_of(tmp_path, 3)
    record_stretch(tmp_path, replace(FIRST, step=5, first_row=40))
    with pytest.raises(RunError, match=r"stream\.json: says nothing of step 5; the file was"):
        stretch_of(tmp_path, 5)
    assert stretch_of(tmp_path, 6).rows_of(6) == (40, 48)


@pytest.mark.fault
def test_a_damaged_record_is_never_believed(tmp_path: Path) -> None:
    record_stretch(tmp_path, FIRST)
    flip(tmp_path / STREAM_NAME, 40)
    for call in (
        lambda: stretch_of(tmp_path, 1),
        lambda: record_stretch(tmp_path, replace(FIRST, step=2)),
    ):
        expected = r"stream\.json: damaged.* or delete it: steps taken"
        with pytest.raises(CorruptDataError, match=expected) as caught:
            call()
        assert not isinstance(caught.value, UserError)
    record_stretch(tmp_path, FIRST)
    assert read_stretches(tmp_path) == [FIRST]


@pytest.mark.parametrize(
    "change",
    [
        {"step": -1},
        {"first_row": 1.5},
        {"batch_rows": 0},
        {"world_size": 0},
        {"world_size": None},
        {"places": ["/data/a"]},
        {"places": {"a": 7}},
        {"segments": "none"},
        {"segments": [SEGMENT | {"seed": "x"}]},
        {"segments": []},
    ],
)
def test_what_is_sealed_but_no_record_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / STREAM_NAME).write_text(seal({"stretches": [asdict(FIRST) | change]}))
    with pytest.raises(CorruptDataError, match=r"stream\.json: damaged, or not written by this"):
        read_stretches(tmp_path)
