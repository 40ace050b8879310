"""The folder of a run: what it keeps, and which folders are refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.run_checkpoints import Checkpoint, latest_checkpoint, write_checkpoint
from jobs.runs import RunData, build_section, open_run, prepare_run
from pipeline.dataset import Dataset, open_dataset
from pipeline.tokens import open_tokenizer
from schemas.config import Config
from schemas.errors import DatasetError, RunError
from schemas.storage import TEMPORARY_MARK
from schemas.train_config import TrainConfig
from tests.datasets import reseal, write_dataset
from tests.models import TINY, tiny_glm

CONFIG = Config(model=TINY, train=TrainConfig(seed=5, peak_lr=0.01))


def prepare(run: Path, dataset: Path, config: Config = CONFIG, resume: bool = False) -> int:
    """Prepare a run; the step it would begin behind."""
    checkpoint = prepare_run(run, config, [(open_dataset(dataset), 2.0)], resume)
    return checkpoint.step if checkpoint else 0


def save(run: Path, step: int) -> Checkpoint | None:
    write_checkpoint(run, step, tiny_glm(), {}, {"consumed_rows": 0})
    return latest_checkpoint(run)


def test_a_run_keeps_all_that_using_its_model_needs(tmp_path: Path, built: Path) -> None:
    assert prepare(tmp_path / "run", built) == 0
    run, dataset = open_run(tmp_path / "run"), open_dataset(built)
    assert run.config == CONFIG
    assert open_tokenizer(run.tokenizer_folder).digest == dataset.tokenizer_hash
    assert run.data.special.to_mapping() == dataset.manifest.tokenizer["special"]
    assert run.data.row_format == dataset.row_format.to_mapping()
    assert (run.data.add_cls, run.data.add_eos) == (True, True)
    (described,) = run.data.datasets
    rows = dataset.manifest.rows
    expected = {"path": str(built), "weight": 2.0, "digest": dataset.digest, "rows": rows}
    assert described == expected


def test_the_framing_of_windows_is_that_of_the_recipe(tmp_path: Path, built: Path) -> None:
    copy = shutil.copytree(built, tmp_path / "copy")
    recipe = json.loads((copy / "plan.json").read_text(encoding="utf-8"))["recipe"]
    reseal(copy / "plan.json", recipe=recipe | {"build": recipe["build"] | {"add_cls": False}})
    data = RunData.of([(open_dataset(copy), 1.0)], Config())
    assert (data.add_cls, data.add_eos) == (False, True)


def test_without_a_plan_windows_are_taken_as_framed(tmp_path: Path, built: Path) -> None:
    bare = Dataset(tmp_path, open_dataset(built).manifest, "digest")
    assert build_section(bare) == {}
    assert RunData.of([(bare, 1.0)], Config()).add_cls


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


def test_a_data_set_without_tokenizer_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    dataset = write_dataset(tmp_path / "data")
    with pytest.raises(DatasetError, match=r"tokenizer: no tokenizer, so .* restore the folder"):
        prepare(tmp_path / "run", dataset)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="none: no such folder; expected a run made by"):
        open_run(tmp_path / "none")
    with pytest.raises(RunError, match=r"has no config\.toml; expected a run made by"):
        open_run(tmp_path)


@pytest.mark.fault
@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"datasets": []}'])
def test_damaged_data_of_a_run_are_named(tmp_path: Path, built: Path, content: str) -> None:
    prepare(tmp_path, built)
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(
        RunError, match=r"data\.json: damaged, or not written by this project .* resto"
    ):
        open_run(tmp_path)
