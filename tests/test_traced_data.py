"""Data sets of a trace: known by their digests, also after they were moved or have grown."""

import shutil
from pathlib import Path

import pytest

from jobs.stream_record import Stretch, places_of, record_stretch, stretch_of
from jobs.traced_data import find_datasets
from pipeline.dataset import open_dataset
from schemas.build_config import BuildConfig, ObjectiveConfig, TokenizerConfig
from schemas.errors import CorruptDataError, DatasetError, UserError
from tests.corpus import small_config
from tests.datasets import flip, write_dataset
from tests.grown_datasets import write_versions
from tests.traced_runs import STEPS, build_documents, rows_of, traced
from tests.trained import run_training


@pytest.fixture(scope="module")
def small(built: Path) -> BuildConfig:
    """One objective, compressed shards, the tokenizer of `built`."""
    return small_config(
        tokenizer=TokenizerConfig(path=str(built / "tokenizer")),
        heldout_ratio=0.0,
        shard_format="arrow-zstd",
        objective={"blank": ObjectiveConfig(kind="blank")},
    )


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, small: BuildConfig) -> Path:
    """Another data set than `built`."""
    folder = tmp_path_factory.mktemp("other") / "dataset"
    return build_documents(folder, {"a": "It is another one. " * 50}, small)


def test_a_data_set_that_was_moved_is_known_by_its_digest(tmp_path: Path, built: Path) -> None:
    run, first = tmp_path / "run", shutil.copytree(built, tmp_path / "first")
    run_training(run, first, max_steps=1)
    expected = rows_of(traced(run, 1))
    first.rename(tmp_path / "second")
    with pytest.raises(DatasetError, match=r"is not where it was .*first: no such folder.*--data"):
        traced(run, 1)
    assert rows_of(traced(run, 1, tmp_path / "second")) == expected


def test_a_data_set_that_the_run_never_read_is_refused(
    tmp_path: Path, built: Path, other: Path
) -> None:
    run_training(tmp_path / "run", built, max_steps=1)
    with pytest.raises(UserError, match=r"this is the data set \w{12}, which .* never read; it"):
        traced(tmp_path / "run", 1, other)


def test_another_data_set_in_the_same_place_is_not_taken_for_it(
    tmp_path: Path, built: Path, other: Path
) -> None:
    run, place = tmp_path / "run", shutil.copytree(built, tmp_path / "data")
    run_training(run, place, max_steps=1)
    shutil.rmtree(place)
    shutil.copytree(other, place)
    with pytest.raises(DatasetError, match=r"is not where it was \(.*data: is the data set \w{12}"):
        traced(run, 1)


@pytest.mark.fault
def test_steps_before_a_data_set_grew_are_still_traced(
    tmp_path: Path, small: BuildConfig, texts: list[str]
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    build_documents(data, {f"text-{n}": texts[n] for n in range(4)}, small)
    # Compressed shards are read in windows, and the run goes on into its second epoch.
    run_training(run, data, batch_rows=24)
    assert open_dataset(data).num_rows("train") < 6 * 24
    before = [rows_of(traced(run, step)) for step in STEPS]
    build_documents(data, {f"text-{n}": texts[n] for n in range(4, 9)}, small)
    grown = open_dataset(data).digest
    assert {digest for rows in before for digest, _ in rows} != {grown}
    after = [rows_of(traced(run, step)) for step in STEPS]
    assert after == [[(grown, row) for _, row in rows] for rows in before]
    assert [one.name for one in find_datasets(run, stretch_of(run, 3), ())] == [str(data)]


def read(run: Path, step: int, *places: Path | tuple[str, str]) -> None:
    """Record that the steps behind `step` read these data sets, or digest and place."""
    pairs = [
        place if isinstance(place, tuple) else next(iter(places_of([open_dataset(place)]).items()))
        for place in places
    ]
    weights = {digest: 1.0 for digest, _ in pairs}
    segment = {"first_row": 0, "datasets": weights, "seed": 1, "order": "global"}
    run.mkdir(exist_ok=True)
    record_stretch(run, Stretch(step, 8 * step, 8, (segment,), dict(pairs), 1))


def found(run: Path, step: int, *given: Path) -> list[Path]:
    return [Path(one.name) for one in find_datasets(run, stretch_of(run, step), given)]


def test_what_is_wrong_in_the_place_of_another_is_a_reason_among_others(tmp_path: Path) -> None:
    run, first, damaged = tmp_path / "run", write_dataset(tmp_path / "a"), tmp_path / "b"
    read(run, 0, first)
    read(run, 4, ("b" * 64, "s3://bucket/b"))
    read(run, 8, write_dataset(damaged, seed=3))
    flip(damaged / "manifest.json", 40)
    assert found(run, 1) == [first]
    moved = first.rename(tmp_path / "moved")
    expected = r"is not where it was \(.*/a: no such folder.*/b/manifest.json: damaged.*--data"
    with pytest.raises(DatasetError, match=expected) as caught:
        found(run, 1)
    assert not isinstance(caught.value, CorruptDataError)
    assert "s3://bucket/b: a data set behind a URL" in str(caught.value)
    assert found(run, 1, moved) == [moved]


@pytest.mark.fault
def test_damage_of_the_data_set_itself_is_called_damage(tmp_path: Path) -> None:
    run, copy = tmp_path / "run", tmp_path / "copy"
    read(run, 0, write_dataset(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", copy)
    flip(tmp_path / "a" / "manifest.json", 40)
    with pytest.raises(CorruptDataError, match=r"a/manifest\.json: damaged"):
        found(run, 1)
    assert found(run, 1, copy) == [copy]


def test_a_place_that_needs_a_cache_is_asked_for_one(tmp_path: Path) -> None:
    read(tmp_path, 0, ("b" * 64, "s3://bucket/b"))
    with pytest.raises(UserError, match=r"s3://bucket/b: .* read through a local cache; give a f"):
        found(tmp_path, 1)


def test_a_copy_without_its_earlier_manifests_is_still_itself(tmp_path: Path) -> None:
    run, other = tmp_path / "run", write_dataset(tmp_path / "other", seed=9)
    old, grown = write_versions(tmp_path / "versions", 3, 5)
    read(run, 0, other)
    read(run, 4, old)
    read(run, 8, other, grown)
    copy = shutil.copytree(grown, tmp_path / "copy")
    shutil.rmtree(copy / "manifests")
    grown.rename(tmp_path / "gone")
    digests = [open_dataset(place).digest for place in (other, copy)]
    assert list(stretch_of(run, 9).segments[-1]["datasets"]) == digests
    assert found(run, 9, copy) == [other, copy]
    assert found(run, 1, copy) == [other]
    assert found(run, 5, copy) == [old]
    old.rename(tmp_path / "old")
    with pytest.raises(DatasetError, match=r"copy/manifests/.*: cannot be read .* copy its folder"):
        found(run, 5, copy)
    assert found(run, 5, tmp_path / "gone") == [tmp_path / "gone"]


def test_a_data_set_is_preferred_to_one_that_has_grown_from_it(tmp_path: Path) -> None:
    old, grown = write_versions(tmp_path / "versions", 3, 5)
    read(tmp_path / "run", 0, old)
    assert found(tmp_path / "run", 1, grown, old) == [old]
    assert found(tmp_path / "run", 1, grown) == [grown]
