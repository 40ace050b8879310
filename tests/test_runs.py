"""The folder of a run: what it keeps, and how it is opened."""

import json
import shutil
from pathlib import Path

import pytest

from jobs.run_start import begin_run
from jobs.runs import RunData, build_section, open_run
from pipeline.dataset import Dataset, open_dataset
from pipeline.shard_reading.shard_places import LocalPlace
from pipeline.stores.local import LocalStore
from pipeline.tokens import open_tokenizer
from schemas.config import Config, digest, read_toml, to_toml
from schemas.errors import CorruptDataError, RunError, UserError
from schemas.train_config import TrainConfig
from tests.datasets import reseal
from tests.models import TINY

CONFIG = Config(model=TINY, train=TrainConfig(seed=5, peak_lr=0.01))


def prepare(run: Path, dataset: Path) -> None:
    """Make the folder of a run."""
    begin_run(run, CONFIG, [(open_dataset(dataset), 2.0)])


def test_a_run_keeps_all_that_using_its_model_needs(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path / "run", built)
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
    store = LocalStore(tmp_path)
    bare = Dataset(store, LocalPlace(tmp_path), open_dataset(built).manifest, "digest")
    assert build_section(bare) == {}
    assert RunData.of([(bare, 1.0)], Config()).add_cls


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="none: no such folder; expected a run made by"):
        open_run(tmp_path / "none")
    with pytest.raises(RunError, match=r"has no config\.toml; expected a run made by"):
        open_run(tmp_path)


def test_a_data_set_is_no_run(built: Path) -> None:
    with pytest.raises(RunError, match="is a data set; expected a run made by"):
        open_run(built)


@pytest.mark.fault
@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"datasets": []}'])
def test_damaged_data_of_a_run_are_named(tmp_path: Path, built: Path, content: str) -> None:
    prepare(tmp_path, built)
    (tmp_path / "data.json").write_text(content)
    expected = r"data\.json: damaged, or not written by this project .* resto"
    with pytest.raises(CorruptDataError, match=expected) as caught:
        open_run(tmp_path)
    assert not isinstance(caught.value, UserError)


def test_a_run_that_lost_its_data_is_named(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path, built)
    (tmp_path / "data.json").unlink()
    with pytest.raises(RunError, match=r"data\.json: cannot be read \(No such .*; restore it from"):
        open_run(tmp_path)


def test_keys_of_later_releases_are_taken_as_their_defaults(tmp_path: Path, built: Path) -> None:
    prepare(tmp_path, built)
    expected = open_run(tmp_path).config
    stated = read_toml(tmp_path / "config.toml")
    del stated["train"]["order"], stated["train"]["window_shards"]
    (tmp_path / "config.toml").write_text(to_toml(stated) + "\n")
    reseal(tmp_path / "data.json", config_digest=digest(stated))
    run = open_run(tmp_path)
    assert run.config == expected
    assert run.config_digest == digest(stated)
    stated["train"]["seed"] = 9
    (tmp_path / "config.toml").write_text(to_toml(stated) + "\n")
    with pytest.raises(RunError, match="changed or damaged since"):
        open_run(tmp_path)
