"""A repair gives back the bytes that were there, touches nothing else, and says what it cannot."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobs.build import BuildRequest, build_dataset
from jobs.care.inspection import VerifyRequest
from jobs.care.repair import Repaired, RepairRequest, repair_dataset
from jobs.care.verify import verify_dataset
from pipeline.build import BuildContext, build_work_item
from pipeline.stores.choice import open_store
from schemas.build_config import TokenizerConfig
from schemas.errors import CorruptDataError, DatasetError, InputError
from schemas.record import Exclusion
from tests.corpus import NoProgress, file_hashes, small_config, the_file
from tests.datasets import flip, reseal
from tests.resealed import (
    DOCUMENTS,
    HOWS,
    RECORD,
    TRAIN_SHARD,
    Resealed,
    damage,
    shifted_label,
)

FOR_PEOPLE = ("README.md", "summary.html", "config.toml")
WORDS = "The quick brown fox jumps over the lazy dog and runs away from it. "


def repair(dataset: Path, *inputs: Path, workers: int = 1) -> Repaired:
    return repair_dataset(RepairRequest(dataset, inputs, workers=workers), lambda size: None)


def problems(dataset: Path) -> tuple[str, ...]:
    return verify_dataset(VerifyRequest(dataset), lambda size: None).problems


def stamps(dataset: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file."""
    return {
        path.relative_to(dataset).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in dataset.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def copy(tmp_path: Path, built: Path) -> Path:
    return shutil.copytree(built, tmp_path / "d")


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second input, of which some lines are bad."""
    folder = tmp_path_factory.mktemp("more")
    lines = [f'{{"id": "m{n}", "text": "{WORDS * 20}"}}\n' for n in range(9)]
    (folder / "more.jsonl").write_text("".join(lines) + "{broken\n")
    return folder


@pytest.fixture(scope="module")
def grown(
    tmp_path_factory: pytest.TempPathFactory, built: Path, corpus: Path, more: Path
) -> Callable[[str], Path]:
    """A data set of a shard format that has grown by an input and a pass."""
    made: dict[str, Path] = {}

    def of(shard_format: str) -> Path:
        if shard_format not in made:
            made[shard_format] = tmp_path_factory.mktemp("grown") / shard_format
            config = small_config(
                shard_format=shard_format,
                max_bad_ratio=0.2,
                splitter=str(built / "splitter.json"),
                tokenizer=TokenizerConfig(path=str(built / "tokenizer")),
            )
            for passes, inputs in ((1, [corpus]), (2, [corpus, more])):
                asked = replace(config, passes=passes)
                request = BuildRequest(asked, inputs, made[shard_format], "serial", 1)
                build_dataset(request, NoProgress())
        return made[shard_format]

    return of


PATTERNS = (
    "shards/train/pass-0000/00000/00000002-00000-*",
    "shards/train/pass-0001/00000/00000001-00000-*",
    "shards/heldout/00000/00000002-00000-*",
    RECORD.format(0),
    "records/pass-0001/00000/00000003-*.documents.arrow",
    "quarantine/00000/*.jsonl",
    "shards-*.arrow",
    "manifests/0000.json",
    "manifests/0001.json",
    "manifest.json",
    "plan.json",
    "plan/[0-9a-f]*.json",
    "plan/slices-*.arrow",
    "plan/inputs-*.arrow",
    "splitter.json",
    "tokenizer/*.json",
    "tokenizer/*.model",
)


@pytest.mark.fault
@pytest.mark.parametrize("shard_format", ["arrow", "tar"])
def test_every_damaged_file_is_healed_and_nothing_else_is_touched(
    grown: Callable[[str], Path],
    tmp_path: Path,
    corpus: Path,
    more: Path,
    shard_format: str,
) -> None:
    copy = shutil.copytree(grown(shard_format), tmp_path / "d")
    whole = file_hashes(copy)
    for number, pattern in enumerate((*PATTERNS, *(["dataset.json"] * (shard_format == "tar")))):
        for path in sorted(copy.glob(pattern))[:2]:
            before, name = stamps(copy), path.relative_to(copy).as_posix()
            damage(path, HOWS[number % len(HOWS)])
            mended = repair(copy, corpus, more)
            assert mended.files == (name,)
            assert file_hashes(copy) == whole, name
            changed = {one for one, stamp in stamps(copy).items() if stamp != before[one]}
            assert changed == {name}
    assert repair(copy).files == ()


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(40 if os.environ.get("BLANKSTREAM_FULL") else 4))
def test_any_files_may_be_damaged_at_once_while_the_plan_is_left(
    grown: Callable[[str], Path], tmp_path: Path, corpus: Path, more: Path, seed: int
) -> None:
    copy = shutil.copytree(grown("arrow"), tmp_path / "d")
    whole, rng = file_hashes(copy), np.random.default_rng(seed)
    kept = (*FOR_PEOPLE, "plan.json")
    names = [name for name in whole if name not in kept and not name.startswith("plan/inputs-")]
    for name in rng.choice(names, 4 + 6 * seed % 40, replace=False).tolist():
        damage(copy / name, str(rng.choice(HOWS)))
    mended = repair(copy, corpus, more)
    assert mended.problems
    assert file_hashes(copy) == whole
    assert problems(copy) == ()


@pytest.mark.fault
def test_a_plan_that_may_not_be_the_last_one_is_not_guessed(
    grown: Callable[[str], Path], tmp_path: Path, corpus: Path, more: Path
) -> None:
    copy = shutil.copytree(grown("arrow"), tmp_path / "d")
    for path in (copy / "plan.json", copy / "manifest.json", *copy.glob("manifests/*")):
        damage(path, "truncated")
    before = stamps(copy)
    with pytest.raises(DatasetError, match=r"no plan can be read.* restore plan\.json from a copy"):
        repair(copy, corpus, more)
    assert stamps(copy) == before
    (last,) = (
        path for path in copy.glob("plan/*.json") if path.read_text().count("first_pass") > 1
    )
    shutil.copyfile(last, copy / "plan.json")
    repair(copy, corpus, more)
    assert file_hashes(copy) == file_hashes(grown("arrow"))


@pytest.mark.fault
@pytest.mark.parametrize("shard_format", ["arrow-lz4", "arrow-zstd"])
def test_compressed_shards_are_healed_by_any_number_of_processes(
    grown: Callable[[str], Path], tmp_path: Path, corpus: Path, more: Path, shard_format: str
) -> None:
    copy = shutil.copytree(grown(shard_format), tmp_path / "d")
    whole = file_hashes(copy)
    for number, path in enumerate(sorted((copy / "shards").rglob("*.arrow"))[::5]):
        damage(path, HOWS[number % len(HOWS)])
    mended = repair(copy, corpus, more, workers=1 + (shard_format == "arrow-zstd"))
    assert file_hashes(copy) == whole
    assert len(mended.files) == len(mended.problems) > mended.items - 1 > 0


@pytest.mark.fault
def test_everything_but_the_plan_and_one_manifest_can_be_lost(
    copy: Path, built: Path, corpus: Path
) -> None:
    for name in ("shards", "records", "tokenizer"):
        shutil.rmtree(copy / name)
    for path in (copy / "splitter.json", copy / "manifest.json", *copy.glob("plan/*.arrow")):
        path.unlink()
    the_file(copy, "shards-*.arrow").write_bytes(b"x")
    mended = repair(copy, corpus)
    assert mended.items > 4
    assert file_hashes(copy) == file_hashes(built)
    assert repair(copy, corpus).files == ()


@pytest.mark.fault
def test_both_manifests_and_the_table_come_back_from_the_records(copy: Path, built: Path) -> None:
    damage(the_file(copy, "shards-*.arrow"), "missing")
    for name in ("manifest.json", "manifests/0000.json"):
        damage(copy / name, "truncated")
    assert repair(copy).items == 0
    assert file_hashes(copy) == file_hashes(built)
    reseal(copy / "manifest.json", counts={"documents": 1})
    assert repair(copy).files == ("manifest.json",)
    assert file_hashes(copy) == file_hashes(built)


@pytest.mark.fault
def test_a_sealed_record_that_contradicts_the_table_gives_way(
    copy: Path, built: Path, corpus: Path
) -> None:
    set_ = Resealed(copy)
    set_.change_rows(set_.items()[1], shifted_label)
    mended = repair(copy, corpus)
    (forged,) = file_hashes(copy).keys() - file_hashes(built).keys()
    (copy / forged).unlink()
    assert mended.items == 1
    assert file_hashes(copy) == file_hashes(built)


@pytest.mark.fault
def test_inputs_that_are_needed_are_named_before_anything_is_written(
    copy: Path, corpus: Path, tmp_path: Path
) -> None:
    damage(the_file(copy, TRAIN_SHARD.format(1)), "middle")
    damage(copy / "manifest.json", "truncated")
    before = stamps(copy)
    told = r"damaged items need 1 inputs that were not given: topics\.jsonl; add them to --input"
    with pytest.raises(InputError, match=told):
        repair(copy)
    (tmp_path / "other.txt").write_text("Another text.")
    with pytest.raises(InputError, match=told):
        repair(copy, tmp_path / "other.txt")
    changed = tmp_path / "topics.jsonl"
    changed.write_text((corpus / "topics.jsonl").read_text().replace("Python", "Jython"))
    with pytest.raises(InputError, match="have changed since the build was planned"):
        repair(copy, changed)
    assert stamps(copy) == before


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tokenizer/tokenizer.model", "tokenizer or splitter is damaged, and cannot be made again"),
        ("splitter.json", "give all inputs of the first build as --input, or restore tokenizer/"),
        ("plan/slices-*.arrow", "damaged, and cannot be made again to the same bytes"),
    ],
)
def test_what_cannot_be_made_again_is_said_with_the_way_to_restore_it(
    copy: Path, name: str, told: str
) -> None:
    damage(the_file(copy, name), "last")
    before = stamps(copy)
    with pytest.raises(DatasetError, match=told):
        repair(copy)
    assert stamps(copy) == before


@pytest.mark.fault
def test_an_item_that_is_built_otherwise_is_refused(
    copy: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = the_file(copy, TRAIN_SHARD.format(1))
    damage(shard, "middle")
    before = stamps(copy)
    monkeypatch.setattr("pipeline.documents.is_heldout", lambda name, ratio: False)
    monkeypatch.setattr("pipeline.item_builder.is_heldout", lambda name, ratio: False)
    with pytest.raises(CorruptDataError, match="its sources give another item: expected shards/"):
        repair(copy, corpus)
    assert stamps(copy) == before


@pytest.mark.fault
@pytest.mark.parametrize("lost", [TRAIN_SHARD, RECORD])
def test_documents_that_were_excluded_stay_excluded(
    tmp_path: Path, built: Path, corpus: Path, lost: str
) -> None:
    copy = shutil.copytree(built, tmp_path / "d")
    set_ = Resealed(copy)
    item, sources = set_.items()[1], {"topics.jsonl": corpus / "topics.jsonl"}
    (first,) = (part for part in item.slice.ranges)
    line = (corpus / "topics.jsonl").read_bytes()[first.start :].split(b"\n")[0]
    where = (first.path, first.start, first.start + len(line) + 1)
    excluded = Exclusion(json.loads(line)["id"], *where, "killed_worker", "killed by SIGKILL")
    for path in (*copy.glob(RECORD.format(1)), the_file(copy, DOCUMENTS)):
        path.unlink()
    build_work_item(BuildContext(str(copy), sources, set_.recipe), item, (excluded,))
    for path in copy.glob("shards/*/*/00000/00000001-*"):
        if path.name not in {Path(one.path).name for one in set_.record(item).shards}:
            path.unlink()
    set_.seal()
    assert set_.record(item).counts["bad.killed_worker"] == 1
    whole = file_hashes(copy)
    damage(the_file(copy, lost.format(1)), "truncated")
    assert repair(copy, corpus).items == 1
    assert problems(copy) == ()
    assert file_hashes(copy) == whole


def test_an_intact_data_set_is_left_alone(copy: Path, corpus: Path) -> None:
    before = stamps(copy)
    assert repair(copy, corpus) == repair(copy) == Repaired((), 0, (), ())
    assert stamps(copy) == before


def test_what_was_never_finished_is_not_repaired(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        repair(tmp_path / "nowhere")
    (copy / "manifest.json").unlink()
    shutil.rmtree(copy / "manifests")
    with pytest.raises(DatasetError, match="the build has not finished"):
        repair(copy)
    assert open_store(copy).size("manifest.json") is None


def test_a_flipped_bit_is_told_with_its_place(copy: Path, corpus: Path) -> None:
    shard = the_file(copy, TRAIN_SHARD.format(0))
    flip(shard, 5000)
    (problem,) = repair(copy, corpus).problems
    assert problem.startswith(f"{shard}: record batch 0 (bytes ")
