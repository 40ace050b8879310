import hashlib
import json
import os
import random
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from jobs.cli import cli
from pipeline import table as table_module
from pipeline.dataset import open_dataset
from pipeline.shard_reading import copied_memory
from pipeline.shard_reading.reader import gather_mixed
from pipeline.shard_reading.shard_table import ShardTable
from pipeline.table import write_table
from schemas.errors import CorruptDataError, DatasetError, UserError
from schemas.manifest import HELDOUT, TRAIN, StoredFile
from schemas.names import MANIFEST_NAME, PLAN_NAME, manifest_name
from schemas.samples import RowFormat
from tests.datasets import TABLE, Content, flip, random_rows, reseal, write_dataset

ROWS = random_rows(Content()).rows
ALL = np.arange(len(ROWS))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("shared"), heldout=4)


@pytest.fixture
def path(tmp_path):
    return write_dataset(tmp_path / "dataset")


def shards_of(path):
    return sorted((path / "shards").rglob("*.arrow"))


def edit_manifest(path, **changes):
    reseal(path / MANIFEST_NAME, **changes)


def test_a_data_set_says_what_its_manifest_says(shared):
    dataset = open_dataset(str(shared))
    assert (dataset.num_rows(TRAIN), dataset.num_rows(HELDOUT)) == (40, 4)
    assert dataset.row_format == Content().row_format
    assert dataset.tokenizer_hash == "a"
    assert dataset.digest == hashlib.sha256((shared / MANIFEST_NAME).read_bytes()).hexdigest()


def test_a_missing_folder_is_an_error_naming_it(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        open_dataset(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder_is_an_error(shared):
    with pytest.raises(DatasetError, match="a file, expected the folder"):
        open_dataset(shared / MANIFEST_NAME)


def test_an_unfinished_build_is_not_readable(path):
    (path / MANIFEST_NAME).unlink()
    (path / PLAN_NAME).write_text("{}")
    with pytest.raises(DatasetError, match=r"no manifest\.json: the build has not finished; run"):
        open_dataset(path)


@pytest.mark.parametrize("has_plan", [False, True])
def test_a_finished_data_set_whose_manifest_is_gone_is_to_be_repaired(path, has_plan):
    (path / manifest_name(0)).parent.mkdir()
    (path / MANIFEST_NAME).rename(path / manifest_name(0))
    if has_plan:
        (path / PLAN_NAME).write_text("{}")
    message = (
        rf"no manifest\.json, though .* its folder manifests has .* `blankstream repair {path}`"
    )
    with pytest.raises(DatasetError, match=message):
        open_dataset(path)


def test_the_command_that_is_named_for_a_manifest_that_is_gone_brings_it_back(built, tmp_path):
    copy = shutil.copytree(built, tmp_path / "d")
    (copy / MANIFEST_NAME).unlink()
    with pytest.raises(DatasetError) as raised:
        open_dataset(copy)
    command = str(raised.value).split("`")[1].split()
    done = CliRunner().invoke(cli, command[1:])
    assert (command[0], done.exit_code) == ("blankstream", 0), done.output
    assert (copy / MANIFEST_NAME).read_bytes() == (built / MANIFEST_NAME).read_bytes()
    assert open_dataset(copy).digest == open_dataset(built).digest


def test_a_folder_that_is_no_data_set_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("of something else")
    with pytest.raises(DatasetError, match=r"neither manifest\.json nor plan\.json is there"):
        open_dataset(tmp_path)


def test_a_manifest_that_was_formatted_anew_is_refused(path):
    text = json.loads((path / MANIFEST_NAME).read_text())
    (path / MANIFEST_NAME).write_text(json.dumps(text))
    with pytest.raises(DatasetError, match=r"manifest\.json: .*formatted otherwise.*repair"):
        open_dataset(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"row_format": 3}'])
def test_a_malformed_manifest_is_an_error_naming_it(path, text):
    (path / MANIFEST_NAME).write_text(text)
    with pytest.raises(DatasetError, match=r"manifest\.json: damaged, or not written by .*repair"):
        open_dataset(path)


@pytest.mark.parametrize("rows", [{"train": 41, "heldout": 0}, {"train": 40, "heldout": 1}])
def test_a_manifest_that_contradicts_its_table_is_an_error(path, rows):
    edit_manifest(path, rows=rows)
    with pytest.raises(DatasetError, match="do not agree with the blocks of the shard table"):
        open_dataset(path)


def test_a_split_that_does_not_exist_is_an_error(shared):
    with pytest.raises(UserError, match="split 'test': expected one of train, heldout"):
        open_dataset(shared).reader("test")


@given(st.lists(st.integers(0, 39), max_size=60))
def test_any_rows_are_gathered_in_the_order_asked_for(shared, numbers):
    reader = open_dataset(shared).reader(TRAIN)
    rows = reader.gather(np.array(numbers, np.int64))
    assert rows.dtype == np.uint16
    assert np.array_equal(rows, ROWS[numbers])


@pytest.mark.parametrize("split", [TRAIN, HELDOUT])
def test_wide_rows_of_both_splits_are_gathered(tmp_path, split):
    wide = RowFormat(24, 3, "uint32", ("blank",))
    content = Content(rows=30, heldout=7, row_format=wide)
    expected = random_rows(content, split).rows
    rows = open_dataset(write_dataset(tmp_path, content)).reader(split)
    assert np.array_equal(rows.gather(np.arange(len(expected))), expected)


@pytest.mark.parametrize("open_files", [1, 2, 3])
@pytest.mark.parametrize("block_shards", [1, 3, 1024])
def test_few_open_files_and_many_blocks_give_the_same_rows(
    tmp_path, monkeypatch, open_files, block_shards
):
    monkeypatch.setattr(table_module, "BLOCK_SHARDS", block_shards)
    path = write_dataset(tmp_path, shards=8, batch_rows=2)
    reader = open_dataset(path).reader(TRAIN, open_files)
    for seed in range(4):
        numbers = np.random.default_rng(seed).permutation(40)
        assert np.array_equal(reader.gather(numbers), ROWS[numbers])
        assert np.array_equal(reader.gather(numbers[:3]), ROWS[numbers[:3]])


def test_rows_of_two_data_sets_are_gathered_together(shared, tmp_path, monkeypatch):
    other = Content(rows=9, seed=5)
    readers = [open_dataset(p).reader(TRAIN) for p in (shared, write_dataset(tmp_path, other))]
    choices, numbers = np.array([1, 0, 0, 1]), np.array([8, 8, 39, 0])
    expected = [random_rows(other).rows[8], ROWS[8], ROWS[39], random_rows(other).rows[0]]
    assert np.array_equal(gather_mixed(readers, choices, numbers), expected)
    monkeypatch.setattr(copied_memory, "_MAX_EXTENT", 10_000)
    assert np.array_equal(gather_mixed(readers, choices, numbers), expected)


@pytest.mark.parametrize("number", [-1, 40])
def test_a_row_outside_the_split_is_refused(shared, number):
    reader = open_dataset(shared).reader(TRAIN)
    with pytest.raises(IndexError, match=rf"{number}.* are not all in \[0, 40\)"):
        reader.gather(np.array([0, number]) if number > 0 else np.array([number, 0]))
    with pytest.raises(IndexError, match="are not all in"):
        reader.origin(number)


def test_the_origin_of_every_row_is_found(shared):
    reader, expected = open_dataset(shared).reader(TRAIN), random_rows(Content()).origin
    for number in range(40):
        entry, index, origin = reader.origin(number)
        assert entry.first_row + index == number
        assert np.array_equal(origin, expected[:, number])


def test_an_unchanged_shard_is_hashed_once_whatever_is_open(path):
    reader = open_dataset(path).reader(TRAIN, 1)
    reader.gather(ALL)
    hashed = reader.num_verified
    reader.gather(ALL)
    reader.close()
    assert np.array_equal(reader.gather(ALL), ROWS)
    assert reader.num_verified == hashed == 9


@pytest.mark.fault
def test_any_flipped_byte_of_a_shard_is_an_error_naming_it(path):
    for shard in shards_of(path):
        content = shard.read_bytes()
        for position in random.Random(1).sample(range(len(content)), 60):
            flip(shard, position)
            with pytest.raises(CorruptDataError, match=rf"{shard.name}: .* is damaged.*repair"):
                open_dataset(path).reader(TRAIN).gather(ALL)
            flip(shard, position)
    assert np.array_equal(open_dataset(path).reader(TRAIN).gather(ALL), ROWS)


@pytest.mark.fault
@pytest.mark.parametrize("size", [0, 1, 100, 4096, -1])
@pytest.mark.parametrize("opened", [False, True])
def test_a_truncated_shard_is_an_error_before_and_after_it_was_opened(path, size, opened):
    reader, shard = open_dataset(path).reader(TRAIN), shards_of(path)[1]
    if opened:
        reader.gather(ALL)
    os.truncate(shard, size % shard.stat().st_size if size < 0 else size)
    with pytest.raises(CorruptDataError, match=rf"{shard.name}: \d+ bytes long, expected .*repair"):
        reader.gather(ALL)


@pytest.mark.fault
@pytest.mark.parametrize("opened", [False, True])
def test_a_missing_shard_is_an_error_before_and_after_it_was_opened(path, opened):
    reader, shard = open_dataset(path).reader(TRAIN), shards_of(path)[1]
    if opened:
        reader.gather(ALL)
    shard.unlink()
    with pytest.raises(CorruptDataError, match=rf"{shard.name}: cannot be opened .*repair"):
        reader.gather(ALL)


@pytest.mark.fault
def test_bytes_changed_while_mapped_are_found_and_a_repair_is_accepted(path):
    reader, shard = open_dataset(path).reader(TRAIN), shards_of(path)[0]
    position = shard.read_bytes().index(ROWS[3].tobytes())
    reader.gather(ALL)
    flip(shard, position)
    assert np.array_equal(reader.gather(ALL[20:]), ROWS[20:])
    with pytest.raises(CorruptDataError, match=f"{shard.name}: record batch 0"):
        reader.gather(ALL[:5])
    flip(shard, position)
    assert np.array_equal(reader.gather(ALL), ROWS)


@pytest.mark.fault
def test_bytes_changed_while_closed_are_found(path):
    reader, shard = open_dataset(path).reader(TRAIN, 1), shards_of(path)[0]
    reader.gather(ALL)
    flip(shard, shard.read_bytes().index(ROWS[3].tobytes()))
    with pytest.raises(CorruptDataError, match=f"{shard.name}: record batch 0"):
        reader.gather(ALL)


def retable(path, change):
    """Rewrite table and manifest, as hostile hands would, with `change` applied to each entry."""
    dataset = open_dataset(path)
    entries = [change(entry) for entry in ShardTable(dataset.place, dataset.manifest, TRAIN)]
    table, _ = write_table(path / TABLE, entries)
    reseal(path / MANIFEST_NAME, table=asdict(StoredFile(TABLE, table)))
    return open_dataset(path).reader(TRAIN)


@pytest.mark.parametrize("name", ["../outside.arrow", "shards/../../outside.arrow", "link.arrow"])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_path_that_leaves_the_data_set_is_refused(path, name, absolute):
    outside = path.parent / "outside.arrow"
    outside.write_bytes(shards_of(path)[0].read_bytes())
    (path / "link.arrow").symlink_to(outside)
    name = str(outside) if absolute else name
    reader = retable(path, lambda entry: replace(entry, path=name))
    with pytest.raises(DatasetError, match="lies outside the data set"):
        reader.gather(ALL[:1])


def test_a_table_that_contradicts_its_shards_is_refused(path):
    reader = retable(path, lambda entry: replace(entry, first_row=entry.first_row // 2))
    with pytest.raises(DatasetError, match=r"do not hold rows 0\.\.40 of train"):
        reader.gather(ALL)


def test_a_shard_of_another_row_format_is_refused(path):
    row_format = Content().row_format.to_mapping() | {"row_tokens": 1000}
    edit_manifest(path, row_format=row_format)
    expected = r"00000\.arrow: expected the columns row .*\[4006\], .* found row .*\[70\], "
    with pytest.raises(DatasetError, match=expected):
        open_dataset(path).reader(TRAIN).gather(ALL)
