"""What `verify` finds, and what it does not call damage."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobs.build import BuildRequest, build_dataset
from jobs.care.inspection import Verified, VerifyRequest
from jobs.care.verify import verify_dataset
from pipeline.stores.choice import open_store
from schemas.build_config import TokenizerConfig
from schemas.errors import DatasetError, InputError
from schemas.samples import SHARD_FORMATS, RowArrays, RowFormat
from tests.corpus import NoProgress, file_hashes, small_config, the_file
from tests.datasets import flip, reseal
from tests.object_server import object_server
from tests.resealed import (
    DOCUMENTS,
    HOWS,
    RECORD,
    TRAIN_SHARD,
    Change,
    Resealed,
    damage,
    shifted_label,
)


def verify(dataset: Path | str, **asked: object) -> Verified:
    return verify_dataset(VerifyRequest(dataset, **asked), lambda size: None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def built_as(
    tmp_path_factory: pytest.TempPathFactory, corpus: Path, built: Path
) -> Callable[[str], Path]:
    """A data set of `corpus` in a shard format, with bad input; read it, do not change it."""
    made = {"arrow": built}

    def of(shard_format: str) -> Path:
        if shard_format not in made:
            made[shard_format] = tmp_path_factory.mktemp("formats") / shard_format
            tools = {
                "splitter": str(built / "splitter.json"),
                "tokenizer": TokenizerConfig(path=str(built / "tokenizer")),
            }
            config = small_config(shard_format=shard_format, **tools)
            request = BuildRequest(config, [corpus], made[shard_format], "serial", 1)
            build_dataset(request, NoProgress())
        return made[shard_format]

    return of


@pytest.fixture
def copy(tmp_path: Path, built: Path) -> Path:
    """A copy of `built` to damage."""
    return shutil.copytree(built, tmp_path / "d")


@pytest.mark.parametrize("shard_format", SHARD_FORMATS)
def test_an_intact_data_set_of_any_format_has_no_problem(
    built_as: Callable[[str], Path], corpus: Path, shard_format: str
) -> None:
    dataset = built_as(shard_format)
    before = file_hashes(dataset)
    fast, deep = verify(dataset), verify(dataset, is_deep=True, inputs=[corpus], share=1.0)
    assert fast.problems == deep.problems == fast.notes == deep.notes == ()
    rows = json.loads((dataset / "manifest.json").read_text())["rows"]
    assert fast.rows == deep.rows == sum(rows.values())
    assert fast.shards == len(list((dataset / "shards").rglob("*-*.*"))) > fast.items
    assert (fast.samples, fast.rederived) == (0, 0)
    assert deep.rederived == deep.items == fast.items
    statistics = json.loads((dataset / "manifest.json").read_text())["statistics"]
    assert deep.samples == sum(one["samples"] for one in statistics.values())
    assert file_hashes(dataset) == before


PATTERNS = (
    TRAIN_SHARD.format(0),
    "shards/heldout/00000/00000002-00000-*",
    RECORD.format(3),
    DOCUMENTS,
    "shards-*.arrow",
    "manifests/0000.json",
    "plan.json",
    "plan/[0-9a-f]*.json",
    "plan/slices-*.arrow",
    "plan/inputs-*.arrow",
    "splitter.json",
)


@pytest.mark.fault
@pytest.mark.parametrize("how", HOWS)
def test_damage_is_found_in_every_file_and_named_in_one_line(copy: Path, how: str) -> None:
    for pattern in PATTERNS:
        path = the_file(copy, pattern)
        content = path.read_bytes()
        damage(path, how)
        found = verify(copy)
        name = path.relative_to(copy).as_posix()
        named = [text for text in found.problems if text.startswith(f"{path}: ")]
        assert named, (name, found.problems)
        assert "repair" in named[0]
        assert all("\n" not in text for text in found.problems)
        path.write_bytes(content)
    assert verify(copy).problems == ()


@pytest.mark.fault
def test_a_damaged_tokenizer_is_found(copy: Path) -> None:
    for name in ("tokenizer.model", "description.json"):
        content = (copy / "tokenizer" / name).read_bytes()
        (copy / "tokenizer" / name).write_bytes(content[:-9])
        found = verify(copy, is_deep=True)
        assert len(found.problems) == 1
        assert found.problems[0].startswith(f"{copy / 'tokenizer'}: ")
        assert any("laws were not checked" in note for note in found.notes)
        (copy / "tokenizer" / name).write_bytes(content)


@pytest.mark.fault
def test_two_shards_that_were_swapped_are_both_damaged(copy: Path) -> None:
    first, second = (the_file(copy, TRAIN_SHARD.format(number)) for number in (0, 1))
    both = first.read_bytes(), second.read_bytes()
    first.write_bytes(both[1])
    second.write_bytes(both[0])
    problems = verify(copy).problems
    assert [text.partition(": ")[0] for text in problems] == [str(first), str(second)]


@pytest.mark.fault
@pytest.mark.parametrize("shard_format", SHARD_FORMATS)
def test_any_flipped_bit_of_any_shard_is_found(
    built_as: Callable[[str], Path], tmp_path: Path, shard_format: str
) -> None:
    copy = shutil.copytree(built_as(shard_format), tmp_path / "d")
    shard = the_file(copy, TRAIN_SHARD.format(1))
    content = shard.read_bytes()
    for place in np.random.default_rng(1).integers(0, len(content), 8).tolist():
        flip(shard, place)
        assert [str(shard) in text for text in verify(copy).problems] == [True], place
        shard.write_bytes(content)


@pytest.mark.fault
def test_sums_that_contradict_the_files_below_them_are_found(copy: Path) -> None:
    set_ = Resealed(copy)
    item = set_.items()[2]
    record = set_.record(item)
    set_.write_record(item, replace(record, counts=record.counts | {"train.documents": 99}))
    of_all, of_item = verify(copy).problems
    assert "counts 99 documents of train, its files hold" in of_item
    assert of_all.startswith(f"{copy}/manifest.json: does not add up (found -> expected")
    assert "counts.train.documents: 20 -> 1" in of_all
    set_.write_record(item, record)
    reseal(copy / "manifest.json", content_digest="0" * 64)
    problems = verify(copy).problems
    assert any(f"expected content {'0' * 64}, found" in text for text in problems)
    assert any("expected a copy of manifest.json, found another manifest" in t for t in problems)


@pytest.mark.fault
def test_a_record_with_other_shards_than_the_table_is_found(copy: Path) -> None:
    set_ = Resealed(copy)
    set_.change_rows(set_.items()[0], shifted_label)
    assert any("of the shard table, found" in text for text in verify(copy).problems)


def other_token(arrays: RowArrays, row_format: RowFormat) -> None:
    """An ordinary token that is kept becomes another: no law can know."""
    tokens = arrays.rows[:, row_format.slices["tokens"]]
    boundaries = arrays.rows[:, row_format.slices["boundaries"]][:, 0]
    for row, boundary in zip(tokens, boundaries.tolist(), strict=True):
        ordinary = [place for place in range(1, boundary) if 20 < row[place] < 400]
        if len({row[place] for place in ordinary}) > 1:
            other = next(place for place in ordinary if row[place] != row[ordinary[0]])
            row[ordinary[0]] = row[other]
            return


def other_document(arrays: RowArrays, row_format: RowFormat) -> None:
    """A sample of a document that the item does not have."""
    arrays.origin[0, 0, 0] = 60_000


@pytest.mark.fault
@pytest.mark.parametrize("shard_format", SHARD_FORMATS)
@pytest.mark.parametrize("change", [shifted_label, other_document])
def test_deep_finds_by_the_laws_what_was_changed_together_with_every_hash(
    built_as: Callable[[str], Path], tmp_path: Path, shard_format: str, change: Change
) -> None:
    copy = shutil.copytree(built_as(shard_format), tmp_path / "d")
    set_ = Resealed(copy)
    set_.change_rows(set_.items()[1], change)
    set_.seal()
    assert [text for text in verify(copy).problems if "dataset.json" not in text] == []
    problems = [text for text in verify(copy, is_deep=True).problems if "row 0" in text]
    assert problems
    assert str(the_file(copy, TRAIN_SHARD.format(1))) in problems[0]


@pytest.mark.fault
def test_deep_finds_by_building_again_what_keeps_every_law(copy: Path, corpus: Path) -> None:
    set_ = Resealed(copy)
    set_.change_rows(set_.items()[1], other_token)
    set_.seal()
    lawful = verify(copy, is_deep=True)
    assert lawful.problems == ()
    assert lawful.rederived == 0
    assert any("nothing was re-derived from its sources" in note for note in lawful.notes)
    (problem,) = verify(copy, is_deep=True, inputs=[corpus], share=1.0).problems
    assert "its sources give another item: expected shards/train" in problem


def test_a_share_is_chosen_by_id_and_is_one_item_at_least(built: Path, corpus: Path) -> None:
    asked = {"is_deep": True, "inputs": [corpus]}
    shares = [verify(built, share=share, **asked).rederived for share in (0.0, 0.5, 1.0)]
    assert shares[0] == 1
    assert shares == sorted(shares)
    assert shares[2] == verify(built).items


@pytest.mark.fault
def test_processes_find_what_one_process_finds(copy: Path, corpus: Path) -> None:
    for number in (0, 2, 4):
        flip(the_file(copy, TRAIN_SHARD.format(number)), 1000)
    the_file(copy, RECORD.format(3)).unlink()
    asked = {"is_deep": True, "inputs": [corpus], "share": 0.4}
    serial = verify(copy, **asked)
    assert len(serial.problems) == 4
    assert verify(copy, workers=2, **asked) == serial


@pytest.mark.fault
def test_a_record_that_names_a_file_outside_is_damage_and_nothing_is_read(copy: Path) -> None:
    set_ = Resealed(copy)
    item = set_.items()[1]
    record = set_.record(item)
    outside = replace(record.documents, path="../secret")
    (copy.parent / "secret").write_text("secret")
    set_.write_record(item, replace(record, documents=outside))
    assert any("must not lead out of the data set" in text for text in verify(copy).problems)


def test_files_that_belong_to_nothing_are_notes(copy: Path) -> None:
    (copy / "shards" / "train" / "old.arrow").write_bytes(b"x")
    (copy / "records" / "draft.tmp-1-ab").write_bytes(b"x")
    found = verify(copy)
    assert found.problems == ()
    assert found.notes == (
        "1 files belong to no item of the data set (shards/train/old.arrow); nothing reads them",
        "1 files were left half-written by builds that were ended",
    )


def test_a_growth_that_has_not_finished_is_a_note(copy: Path, corpus: Path) -> None:
    build_dataset(BuildRequest(small_config(passes=2), [corpus], copy, "serial", 1), NoProgress())
    assert verify(copy).problems == ()
    for name in ("manifests/0001.json", "manifest.json"):
        (copy / name).unlink()
    shutil.copyfile(copy / "manifests/0000.json", copy / "manifest.json")
    found = verify(copy)
    assert found.problems == ()
    assert "a growth was begun and has not finished" in found.notes[0]


def test_what_is_no_data_set_and_inputs_that_do_not_fit_are_refused(
    copy: Path, corpus: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Some text.")
    with pytest.raises(InputError, match="was not built from any of the 1 inputs given"):
        verify(copy, is_deep=True, inputs=[other])
    changed = tmp_path / "topics.jsonl"
    changed.write_text((corpus / "topics.jsonl").read_text().replace("Python", "Jython"))
    with pytest.raises(InputError, match="have changed since the build was planned"):
        verify(copy, is_deep=True, inputs=[changed], share=1.0)
    (copy / "manifest.json").unlink()
    with pytest.raises(DatasetError, match=r"no manifest\.json, though the data set was finished"):
        verify(copy)
    with pytest.raises(DatasetError, match="no such folder"):
        verify(tmp_path / "nowhere")
    for path in (copy / "plan.json", the_file(copy, "plan/[0-9a-f]*.json")):
        path.write_text("{}")
    shutil.copyfile(copy / "manifests/0000.json", copy / "manifest.json")
    with pytest.raises(DatasetError, match="no plan can be read"):
        verify(copy)


@pytest.mark.fault
@pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
def test_a_data_set_on_object_storage_is_verified_and_damage_named_by_its_url(
    built: Path,
) -> None:
    with object_server() as server:
        server.put("/sets")
        url = "s3://sets/d"
        store = open_store(url)
        for path in filter(Path.is_file, built.rglob("*")):
            store.replace(path.relative_to(built).as_posix(), path.read_bytes())
        assert verify(url) == verify(built)
        name = the_file(built, DOCUMENTS).relative_to(built).as_posix()
        store.replace(name, b"x" * (built / name).stat().st_size)
        (problem,) = verify(url).problems
        assert problem.startswith(f"{url}/{name}: header (bytes 0..")
