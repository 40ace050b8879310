"""Versions of a data set: found by digest, and checked to be the beginning of what is there."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from pydoc_data import topics

import numpy as np
import pytest

from jobs.build import BuildRequest, build_dataset
from pipeline.dataset import open_dataset
from pipeline.stream import RowStream
from pipeline.versions import Lineage, Versions, check_different
from schemas.errors import DatasetError
from schemas.manifest import TableBlock
from schemas.names import manifest_name
from tests.corpus import NoProgress
from tests.datasets import TABLE, reseal
from tests.grown_datasets import write_versions


def versions_of(folder, split="train"):
    dataset = open_dataset(folder)
    return Versions(dataset, split, dataset.reader(split).rows_of)


def lineage_of(folder, split="train"):
    return Lineage(open_dataset(folder), split)


@pytest.fixture
def folders(tmp_path):
    return write_versions(tmp_path, 2, 3, 7)


def test_every_version_is_found_by_its_digest(folders):
    last = versions_of(folders[-1])
    for folder, shards in zip(folders, (2, 3, 7), strict=True):
        found = last.find(open_dataset(folder).digest)
        assert found is not None
        assert found.table.num_rows == 5 * shards
        assert found.table.rows(0).tolist() == [5] * shards
    assert last.find("another") is None
    assert last.current.digest == open_dataset(folders[-1]).digest
    assert versions_of(folders[0]).find(last.current.digest) is None


def test_earlier_versions_are_not_read_before_they_are_asked_for(folders):
    for number in (0, 1, 2):
        (folders[-1] / manifest_name(number)).unlink()
    last = versions_of(folders[-1])
    assert last.find(last.current.digest) == last.current
    with pytest.raises(
        DatasetError, match=r"manifests/0000\.json: cannot be read .* copy its fold"
    ):
        last.find("another")


def test_a_damaged_version_is_refused(folders):
    place = folders[-1] / manifest_name(1)
    place.write_text(place.read_text(encoding="utf-8").replace("15", "16"), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"manifests/0001\.json: .*repair"):
        versions_of(folders[-1]).find("another")


@pytest.mark.parametrize(
    "blocks",
    [
        [("train", 8, 0, 10)],
        [("train", 2, 0, 40)],
        [("train", 7, 0, 34)],
        [("train", 1, 0, 5), ("train", 1, 5, 5)],
        [("train", 7, 0, 35), ("train", 1, 35, 5)],
    ],
)
def test_a_version_of_other_rows_is_refused(folders, blocks):
    table_blocks = [
        dict(zip(("split", "shards", "first_row", "rows"), b, strict=True)) for b in blocks
    ]
    reseal(folders[-1] / manifest_name(0), table_blocks=table_blocks)
    with pytest.raises(DatasetError, match="version 2 does not begin with the rows of version 0"):
        versions_of(folders[-1]).find("another")


def test_blocks_that_were_filled_are_grown_from(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.table.BLOCK_SHARDS", 2)
    folders = write_versions(tmp_path, 3, 6)
    found = versions_of(folders[1]).find(open_dataset(folders[0]).digest)
    assert found is not None
    assert found.table.blocks == [TableBlock("train", 2, 0, 10), TableBlock("train", 1, 10, 5)]
    assert [found.table.rows(block).tolist() for block in (0, 1)] == [[5, 5], [5]]


def test_a_version_without_rows_of_the_split_is_none_of_it(folders):
    digest = open_dataset(folders[0]).digest
    assert versions_of(folders[-1], "heldout").find(digest) is None


def test_a_data_set_and_what_it_has_grown_to_are_not_mixed(folders, tmp_path):
    other = write_versions(tmp_path / "b", 2, seed=5)[0]
    check_different([lineage_of(folders[2]), lineage_of(other)])
    with pytest.raises(DatasetError, match=r"2 has grown from .*0: mixed, rows would come twice"):
        RowStream({folders[0]: 1, folders[2]: 1})


def grown_apart(tmp_path):
    """Two data sets that were grown from one, each by shards of its own."""
    folders = []
    for name, sizes, row_seed in (("left", (2, 4), 0), ("right", (2, 5), 0)):
        folders.append(write_versions(tmp_path / name, *sizes, seed=row_seed)[-1])
    return folders


def test_two_data_sets_that_have_grown_from_one_are_not_mixed(tmp_path):
    left, right = grown_apart(tmp_path)
    ancestor = open_dataset(tmp_path / "left" / "0").digest
    assert ancestor == open_dataset(tmp_path / "right" / "0").digest
    assert open_dataset(left).digest != open_dataset(right).digest
    message = f"have both grown from {ancestor[:12]}: mixed, rows would come twice; give one of"
    with pytest.raises(DatasetError, match=message):
        RowStream({left: 1, right: 1})


def test_what_a_data_set_was_is_known_without_its_rows(folders, tmp_path):
    shutil.rmtree(folders[-1] / "shards")
    (folders[-1] / TABLE).unlink()
    lineage = lineage_of(folders[-1])
    assert lineage.was(lineage.dataset.digest)
    assert all(lineage.was(open_dataset(folder).digest) for folder in folders)
    assert not lineage.was(open_dataset(write_versions(tmp_path / "b", 2, seed=5)[0]).digest)
    assert not lineage_of(folders[-1], "heldout").was(open_dataset(folders[0]).digest)


def test_a_version_that_was_formatted_anew_is_refused(folders):
    """Its digest is another one: a state or a data set of that version would be taken for new."""
    place = folders[-1] / manifest_name(0)
    place.write_text(json.dumps(json.loads(place.read_text(encoding="utf-8"))), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"manifests/0000\.json: .*formatted otherwise.*repair"):
        versions_of(folders[-1]).find("another")
    with pytest.raises(DatasetError, match=r"manifests/0000\.json: .*formatted otherwise"):
        RowStream({folders[0]: 1, folders[-1]: 1})


def test_a_build_that_grows_keeps_the_rows_of_the_version_before(tmp_path, corpus, config):
    inputs = [tmp_path / "inputs"]
    inputs[0].mkdir()
    first = (corpus / "topics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:8]
    (inputs[0] / "a.jsonl").write_text("".join(first), encoding="utf-8")
    build = BuildRequest(config, inputs, tmp_path / "d", "serial", 1)
    build_dataset(build, NoProgress())
    with RowStream(tmp_path / "d", epochs=1, batch_rows=10_000) as stream:
        before, old = next(stream), stream.datasets[0]
    more = [name for name in sorted(topics.topics) if len(topics.topics[name]) > 20_000][:1]
    line = json.dumps({"id": "more", "text": topics.topics[more[0]]}) + "\n"
    (inputs[0] / "b.jsonl").write_text(line, encoding="utf-8")
    build_dataset(replace(build), NoProgress())
    grown = versions_of(Path(tmp_path / "d"))
    found = grown.find(old.digest)
    assert found is not None
    assert 0 < found.table.num_rows == old.num_rows("train") < grown.current.table.num_rows
    rows = grown.lineage.dataset.reader("train").gather(before.row_numbers)
    assert np.array_equal(rows, before.rows)
