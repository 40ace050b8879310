"""Planning a build: what is begun goes on, what is finished stays, growth is all or nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from jobs.build import BuildRequest, build_dataset
from jobs.plan_build import read_plan
from pipeline.dataset import open_dataset
from pipeline.finish import last_manifest
from pipeline.stores.local import LocalStore
from schemas.build_config import BuildConfig, TokenizerConfig
from schemas.errors import DatasetError, InputError
from schemas.manifest import Manifest
from tests.corpus import NoProgress, file_hashes, small_config, the_file
from tests.datasets import flip

WORDS = "The quick brown fox jumps over the lazy dog and runs away from it. "


class Watcher(NoProgress):
    """Calls `at_end` once, when the items are built and the manifest is not yet written."""

    def __init__(self, at_end: object = None) -> None:
        super().__init__()
        self._at_end = at_end

    def stage(self, text: str) -> None:
        if text.startswith("Writing") and callable(self._at_end):
            self._at_end()


@pytest.fixture
def grown_from(tmp_path: Path, built: Path) -> Path:
    """A copy of a finished data set."""
    shutil.copytree(built, tmp_path / "d")
    return tmp_path / "d"


def more_text(tmp_path: Path, name: str = "more", document_id: str = "new") -> Path:
    path = tmp_path / f"{name}.jsonl"
    path.write_text(json.dumps({"id": document_id, "text": WORDS * 60}) + "\n")
    return path


def build(
    dataset: Path,
    inputs: list[Path],
    config: BuildConfig | None = None,
    watcher: Watcher | None = None,
) -> Manifest:
    request = BuildRequest(config or small_config(), inputs, dataset, "serial", 1)
    return build_dataset(request, watcher or Watcher())


def first_id(corpus: Path) -> str:
    line = (corpus / "topics.jsonl").read_text().splitlines()[0]
    return str(json.loads(line)["id"])


def test_a_growth_that_fails_leaves_the_data_set_as_it_was(
    tmp_path: Path, grown_from: Path, built: Path, corpus: Path
) -> None:
    double = more_text(tmp_path, document_id=first_id(corpus))
    with pytest.raises(InputError, match="occurs twice"):
        build(grown_from, [corpus, double])
    assert open_dataset(grown_from).digest == open_dataset(built).digest
    assert build(grown_from, [corpus]).version == 0
    before, after = file_hashes(built), file_hashes(grown_from)
    del before["plan.json"]  # what was begun last; readers do not look at it
    assert {name: after[name] for name in before} == before


def test_a_growth_that_failed_is_replaced_by_another(
    tmp_path: Path, grown_from: Path, built: Path, corpus: Path
) -> None:
    double = more_text(tmp_path, document_id=first_id(corpus))
    with pytest.raises(InputError, match="occurs twice"):
        build(grown_from, [corpus, double])
    good = more_text(tmp_path, "good")
    manifest = build(grown_from, [corpus, good])
    shutil.copytree(built, tmp_path / "straight")
    assert build(tmp_path / "straight", [corpus, good]) == manifest
    assert manifest.version == 1
    assert manifest.counts["documents"] == open_dataset(built).manifest.counts["documents"] + 1


def test_an_interrupted_growth_goes_on_with_its_own_inputs_alone(
    tmp_path: Path, grown_from: Path, corpus: Path
) -> None:
    more = more_text(tmp_path)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(grown_from, [corpus, more], watcher=Watcher(interrupt))
    watcher = Watcher()
    assert build(grown_from, [more], watcher=watcher).version == 1
    assert watcher.state.done == 0


def test_an_old_version_stays_readable_while_and_after_the_data_set_grows(
    tmp_path: Path, grown_from: Path, built: Path, corpus: Path
) -> None:
    old = open_dataset(grown_from)
    build(grown_from, [corpus, more_text(tmp_path)])
    assert (grown_from / "manifests/0000.json").read_bytes() == (
        built / "manifest.json"
    ).read_bytes()
    rows = old.num_rows("train")
    reader = old.reader("train")
    assert reader.num_rows == rows
    assert open_dataset(grown_from).num_rows("train") > rows
    assert len(reader.gather(np.arange(rows))) == rows


def test_of_two_growths_at_once_the_second_is_refused_and_can_be_added(
    tmp_path: Path, grown_from: Path, corpus: Path
) -> None:
    one, two = more_text(tmp_path, "one", "1"), more_text(tmp_path, "two", "2")
    watcher = Watcher(lambda: build(grown_from, [corpus, one]))
    with pytest.raises(DatasetError, match="another build has grown this data set"):
        build(grown_from, [corpus, two], watcher=watcher)
    assert "one.jsonl" in (grown_from / "README.md").read_text()
    assert "two.jsonl" not in (grown_from / "README.md").read_text()
    assert last_manifest(LocalStore(grown_from)) == open_dataset(grown_from).manifest
    manifest = build(grown_from, [corpus, one, two])
    assert manifest.version == 2
    assert manifest.counts["documents"] == 27


def test_a_slower_driver_of_an_older_plan_leaves_the_last_version(
    tmp_path: Path, grown_from: Path, corpus: Path
) -> None:
    grown = dict[str, str]()

    def grow() -> None:
        build(grown_from, [corpus, more_text(tmp_path)])
        grown.update(file_hashes(grown_from))

    assert build(grown_from, [corpus], watcher=Watcher(grow)).version == 0
    assert open_dataset(grown_from).manifest.version == 1
    assert file_hashes(grown_from) == grown


@pytest.mark.fault
@pytest.mark.parametrize("is_copy_intact", [True, False])
def test_a_growth_never_builds_on_an_older_version_than_the_last(
    tmp_path: Path, grown_from: Path, corpus: Path, is_copy_intact: bool
) -> None:
    one, two = more_text(tmp_path, "one", "1"), more_text(tmp_path, "two", "2")
    build(grown_from, [corpus, one])
    flip(grown_from / "manifests/0001.json", 300)
    if is_copy_intact:
        assert build(grown_from, [corpus, one, two]).version == 2
        assert open_dataset(grown_from).manifest.counts["documents"] == 27
        return
    flip(grown_from / "manifest.json", 300)
    before = file_hashes(grown_from)
    with pytest.raises(DatasetError, match=r"manifests/0001\.json: damaged; run `blankstream repa"):
        build(grown_from, [corpus, two])
    assert file_hashes(grown_from) == before


def test_two_builds_begun_in_one_folder_at_the_same_time_do_not_mix(
    tmp_path: Path, corpus: Path
) -> None:
    other = small_config(tokenizer=TokenizerConfig(vocab_size=450, sample_characters=50_000))

    class Begins(Watcher):
        def stage(self, text: str) -> None:
            if text.startswith("Training"):
                build(tmp_path / "d", [corpus], other)

    with pytest.raises(DatasetError, match="another build was begun here at the same time"):
        build(tmp_path / "d", [corpus], watcher=Begins())
    watcher = Watcher()
    build(tmp_path / "d", [corpus], other, watcher)
    assert watcher.state.done == 0


@pytest.mark.fault
def test_a_build_killed_between_its_first_plan_and_its_tokenizer_goes_on(
    tmp_path: Path, built: Path, corpus: Path
) -> None:
    (tmp_path / "d").mkdir()
    shutil.copy(built / "plan.json", tmp_path / "d")
    shutil.copytree(built / "plan", tmp_path / "d" / "plan")
    with pytest.raises(DatasetError, match=r"another recipe.*\n.*build\.seed: 1 -> 2"):
        build(tmp_path / "d", [corpus], small_config(seed=2))
    build(tmp_path / "d", [corpus])
    assert file_hashes(tmp_path / "d") == file_hashes(built)


def test_two_drivers_of_the_same_growth_agree(
    tmp_path: Path, grown_from: Path, corpus: Path
) -> None:
    more = more_text(tmp_path)
    watcher = Watcher(lambda: build(grown_from, [corpus, more]))
    manifest = build(grown_from, [corpus, more], watcher=watcher)
    assert manifest.to_json() == (grown_from / "manifest.json").read_text()
    assert not (grown_from / "manifests/0002.json").exists()


@pytest.mark.fault
def test_a_driver_killed_between_its_commit_and_its_last_file_is_finished_by_the_next(
    tmp_path: Path, grown_from: Path, built: Path, corpus: Path
) -> None:
    more = more_text(tmp_path)
    wanted = build(grown_from, [corpus, more])
    before = file_hashes(grown_from)
    for name in ("plan.json", "manifest.json"):
        shutil.copy(built / name, grown_from / name)
    assert build(grown_from, [corpus, more]).to_json() == wanted.to_json()
    assert file_hashes(grown_from) == before


@pytest.mark.fault
def test_a_first_build_that_ended_early_takes_more_input(
    tmp_path: Path, built: Path, corpus: Path
) -> None:
    shutil.copytree(built, tmp_path / "d")
    for name in ("manifest.json", "manifests/0000.json"):
        (tmp_path / "d" / name).unlink()
    manifest = build(tmp_path / "d", [corpus, more_text(tmp_path)])
    assert manifest.version == 0
    plan = read_plan(LocalStore(tmp_path / "d"))
    assert plan is not None
    assert len(plan.generations) == 2


@pytest.mark.fault
def test_a_plan_that_the_manifest_names_and_that_is_gone_is_named(
    tmp_path: Path, grown_from: Path, corpus: Path
) -> None:
    the_file(grown_from, "plan/????????????????.json").unlink()
    with pytest.raises(DatasetError, match=r"plan/.*\.json: missing; .*repair"):
        build(grown_from, [corpus])
