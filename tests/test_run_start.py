"""Beginning a run and going on: which folders and requests are refused, and what may change."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.run_checkpoints import Checkpoint, latest_checkpoint, write_checkpoint
from jobs.run_start import begin_run, find_start, renew_run
from jobs.runs import open_run
from pipeline.dataset import open_dataset
from schemas.config import Config
from schemas.errors import DatasetError, RunError
from schemas.storage import TEMPORARY_MARK
from schemas.train_config import TrainConfig
from tests.corpus import file_hashes
from tests.datasets import reseal, write_dataset
from tests.models import TINY, tiny_glm

CONFIG = Config(model=TINY, train=TrainConfig(seed=5, peak_lr=0.01))


def prepare(run: Path, dataset: Path, config: Config = CONFIG, resume: bool = False) -> int:
    """Begin a run or go on with it; the step it would begin behind."""
    mixture = [(open_dataset(dataset), 2.0)]
    before = contents(run)
    checkpoint = find_start(run, config, mixture, resume)
    assert contents(run) == before
    if checkpoint is None:
        begin_run(run, config, mixture)
        return 0
    renew_run(run, config, mixture)
    return checkpoint.step


def contents(run: Path) -> dict[str, str]:
    return file_hashes(run) if run.is_dir() else {}


def save(run: Path, step: int) -> Checkpoint | None:
    write_checkpoint(run, step, tiny_glm(), {}, {"consumed_rows": 0})
    return latest_checkpoint(run)


def test_a_run_without_a_checkpoint_begins_again(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path / "run", built)
    other = replace(CONFIG, train=TrainConfig(peak_lr=0.02))
    assert prepare(tmp_path / "run", built, other) == 0
    assert open_run(tmp_path / "run").config == other


def test_a_run_with_a_checkpoint_goes_on_only_when_asked(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path, built)
    save(tmp_path, 7)
    expected = "this run has a checkpoint of step 7; go on with --resume auto, or give another"
    with pytest.raises(RunError, match=expected):
        prepare(tmp_path, built)
    leftover = tmp_path / "checkpoints" / f"step-0000009{TEMPORARY_MARK}1"
    leftover.mkdir()
    assert prepare(tmp_path, built, resume=True) == 7
    assert not leftover.exists()


def test_another_configuration_is_refused_naming_the_keys(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path, built)
    save(tmp_path, 7)
    other = replace(
        CONFIG, model=replace(TINY, dropout=0.5), train=replace(CONFIG.train, peak_lr=1.0)
    )
    with pytest.raises(RunError, match="another configuration") as caught:
        prepare(tmp_path, built, other, resume=True)
    assert "\n  model.dropout: 0.1 -> 0.5\n  train.peak_lr: 0.01 -> 1.0\n" in str(caught.value)
    assert open_run(tmp_path).config == CONFIG


def test_the_build_section_does_not_matter_to_a_run(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path, built)
    save(tmp_path, 7)
    other = replace(CONFIG, build=replace(CONFIG.build, passes=9))
    assert prepare(tmp_path, built, other, resume=True) == 7


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, built: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"holds no run but other files \(thesis.tex, ...\); give"):
        prepare(tmp_path, built)
    with pytest.raises(RunError, match="is a file; give a folder as --output"):
        prepare(tmp_path / "thesis.tex", built)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("inside", ["", "run"])
def test_a_data_set_is_no_place_for_a_run(tmp_path: Path, built: Path, inside: str) -> None:
    dataset = shutil.copytree(built, tmp_path / "data")
    before = sorted(dataset.rglob("*"))
    with pytest.raises(
        RunError, match=rf"is in the data set {dataset}, .* another folder as --out"
    ):
        prepare(dataset / inside, built)
    assert sorted(dataset.rglob("*")) == before


def test_a_configuration_alone_makes_no_run(tmp_path: Path, built: Path) -> None:
    for name in ("config.toml", "thesis.tex"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match=r"holds no run but other files \(thesis.tex, ...\); give"):
        prepare(tmp_path, built)
    assert (tmp_path / "config.toml").read_text() == "mine"


def test_a_data_set_whose_name_cannot_be_written_is_refused(tmp_path: Path, built: Path) -> None:
    dataset = shutil.copytree(built, tmp_path / "na\udcffme")
    with pytest.raises(DatasetError, match=r"na.udcffme': the name is not UTF-8, .* give the data"):
        prepare(tmp_path / "run", dataset)
    assert not (tmp_path / "run").exists()


def test_a_data_set_without_tokenizer_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    dataset = write_dataset(tmp_path / "data")
    with pytest.raises(DatasetError, match=r"tokenizer: no tokenizer, so .* restore the folder"):
        prepare(tmp_path / "run", dataset)
    assert not (tmp_path / "run").exists()


def another(**changes: object) -> Config:
    return replace(CONFIG, train=replace(CONFIG.train, **changes))


def test_losses_may_be_recorded_from_any_checkpoint_on(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path, built)
    save(tmp_path, 7)
    assert prepare(tmp_path, built, another(record_losses=True), resume=True) == 7


def test_seed_batch_size_and_order_change_only_when_asked(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path, built)
    save(tmp_path, 7)
    mixture, other = [(open_dataset(built), 2.0)], another(seed=6, batch_rows=32, order="windowed")
    with pytest.raises(RunError, match=r"train\.seed: 5 -> 6") as caught:
        find_start(tmp_path, other, mixture, True)
    assert "Seed, batch size and order may differ with --change-data" in str(caught.value)
    checkpoint = find_start(tmp_path, other, mixture, True, change_data=True)
    assert checkpoint
    assert checkpoint.step == 7
    with pytest.raises(RunError, match=r"train\.peak_lr: 0\.01 -> 0\.02"):
        find_start(tmp_path, another(peak_lr=0.02), mixture, True, change_data=True)


def test_rows_of_another_kind_are_refused_whatever_is_asked(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path / "run", built)
    save(tmp_path / "run", 7)
    copy = shutil.copytree(built, tmp_path / "copy")
    tokenizer = json.loads((copy / "manifest.json").read_text())["tokenizer"]
    reseal(copy / "manifest.json", tokenizer=tokenizer | {"model_sha256": "other"})
    mixture = [(open_dataset(copy), 1.0)]
    with pytest.raises(RunError, match=r"rows of another kind.*\n +tokenizer\.model_sha256: "):
        find_start(tmp_path / "run", CONFIG, mixture, True, change_data=True)


def test_a_run_that_goes_on_says_what_it_reads_from_there(tmp_path: Path, built: Path) -> None:
    run, copy = tmp_path / "run", shutil.copytree(built, tmp_path / "copy")
    prepare(run, built)
    before = file_hashes(run)
    renew_run(run, CONFIG, [(open_dataset(built), 2.0)])
    assert file_hashes(run) == before
    build = replace(CONFIG.build, passes=9)
    renew_run(run, replace(another(batch_rows=32), build=build), [(open_dataset(copy), 3.0)])
    renewed = open_run(run)
    assert renewed.config == another(batch_rows=32)
    (described,) = renewed.data.datasets
    assert (described["path"], described["weight"]) == (str(copy), 3.0)


@pytest.mark.fault
def test_a_run_can_be_opened_between_its_two_files(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path, built)
    mixture = [(open_dataset(built), 2.0)]
    config = (tmp_path / "config.toml").read_bytes()
    renew_run(tmp_path, another(seed=6), mixture)
    (tmp_path / "config.toml").write_bytes(config)
    assert open_run(tmp_path).config == CONFIG
    renew_run(tmp_path, another(seed=7), mixture)
    assert open_run(tmp_path).config == another(seed=7)
