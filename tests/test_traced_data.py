"""Data sets of a trace: known by their digests, also after they were moved or have grown."""

import shutil
from pathlib import Path

import pytest

from jobs.stream_record import stretch_of
from jobs.traced_data import find_datasets
from pipeline.dataset import open_dataset
from schemas.build_config import BuildConfig, ObjectiveConfig, TokenizerConfig
from schemas.errors import DatasetError, UserError
from tests.corpus import small_config
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
    assert find_datasets(run, stretch_of(run, 3), ()) == [str(data)]
