import os

import numpy as np
import pytest

from pipeline import table as table_module
from pipeline.dataset import open_dataset, parse_dataset
from pipeline.shard_reading import reader as reader_module
from pipeline.stores.local import LocalStore
from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import TRAIN
from schemas.names import MANIFEST_NAME
from schemas.samples import SHARD_FORMATS
from tests.copying_place import CopyingPlace
from tests.datasets import TABLE, Content, flip, random_rows
from tests.format_datasets import write_dataset_as

ROWS = random_rows(Content()).rows
ALL = np.arange(len(ROWS))


@pytest.fixture(params=SHARD_FORMATS)
def place(request, tmp_path):
    source = write_dataset_as(tmp_path / "source", request.param)
    return CopyingPlace(source, tmp_path / "copies")


@pytest.fixture
def small_blocks(monkeypatch, tmp_path):
    """A data set of eight shards in blocks of three, of which a reader remembers two."""
    monkeypatch.setattr(table_module, "BLOCK_SHARDS", 3)
    monkeypatch.setattr(reader_module, "_MAX_BLOCKS", 2)
    return write_dataset_as(tmp_path / "small", "arrow", shards=8, batch_rows=2)


def reader_at(place, *limits):
    content = (place.source / MANIFEST_NAME).read_bytes()
    return parse_dataset(LocalStore(place.source), place, content).reader(TRAIN, *limits)


def shards_of(place):
    return sorted(str(one.relative_to(place.source)) for one in place.source.rglob("0*.*"))


def test_every_file_is_opened_through_the_place(place):
    assert np.array_equal(reader_at(place).gather(ALL), ROWS)
    assert set(place.asked) == {TABLE, *shards_of(place)}
    assert place.aside == []


@pytest.mark.fault
def test_a_damaged_copy_is_set_aside_and_read_from_another(place):
    reader_at(place).gather(ALL)
    for name in (TABLE, *shards_of(place)):
        copy = place.copies / name
        for position in range(0, copy.stat().st_size, 200):
            flip(copy, position)
    assert np.array_equal(reader_at(place).gather(ALL), ROWS)
    assert sorted(place.aside) == sorted([TABLE, *shards_of(place)])


@pytest.mark.fault
@pytest.mark.parametrize("change", ["delete", "truncate"])
def test_a_copy_that_goes_during_use_is_asked_for_again_unless_it_is_mapped(place, change):
    reader, first = reader_at(place), place.copies / shards_of(place)[0]
    reader.gather(ALL[:1])
    if change == "delete":
        first.unlink()
    else:
        os.truncate(first, 10)
    assert np.array_equal(reader.gather(ALL), ROWS)
    is_mapped = reader.num_decoded_bytes == 0
    still_there = change == "delete" and is_mapped
    assert place.aside == ([] if still_there else [shards_of(place)[0]])


@pytest.mark.fault
def test_a_file_that_is_damaged_at_its_source_is_an_error_in_the_end(place):
    name = shards_of(place)[1]
    flip(place.source / name, 300)
    with pytest.raises(CorruptDataError, match=r"00001\.\w+: .* is damaged: expected"):
        reader_at(place).gather(ALL)
    assert place.aside == [name] * place.tries


@pytest.mark.parametrize("open_files", [1, 2])
def test_a_file_that_is_opened_again_is_asked_for_again(place, open_files):
    reader = reader_at(place, open_files)
    for number in (0, 39, 0, 39, 20):
        assert np.array_equal(reader.gather(np.array([number])), ROWS[[number]])
    assert len(place.asked) <= 1 + 5
    assert {TABLE, *shards_of(place)} == set(place.asked)


def test_the_rows_of_each_shard_of_a_block_are_known_without_opening_it(small_blocks):
    dataset = open_dataset(small_blocks)
    for one in (small_blocks / "shards").rglob("*.arrow"):
        one.unlink()
    rows = [dataset.reader(TRAIN).rows_of(block) for block in range(3)]
    assert [len(part) for part in rows] == [3, 3, 2]
    assert np.concatenate(rows).tolist() == [5] * 8
    assert rows[0].dtype == np.int64


def test_what_comes_next_is_named_to_the_place_in_the_order_given(place):
    reader = reader_at(place)
    reader.ahead([(0, 2), (0, 0)])
    assert place.wanted == [TABLE, shards_of(place)[2], shards_of(place)[0]]
    reader.ahead([])
    assert place.wanted == [TABLE]


def test_few_blocks_are_remembered_and_all_rows_are_read(small_blocks):
    reader = open_dataset(small_blocks).reader(TRAIN, 2)
    for seed in range(3):
        numbers = np.random.default_rng(seed).permutation(40)
        assert np.array_equal(reader.gather(numbers), ROWS[numbers])
        assert len(reader._blocks) <= 2


@pytest.mark.fault
def test_a_block_that_was_forgotten_is_verified_again(small_blocks):
    reader = open_dataset(small_blocks).reader(TRAIN, 1)
    reader.gather(ALL)
    shard = next((small_blocks / "shards").rglob("00000.arrow"))
    flip(shard, shard.read_bytes().index(ROWS[1].tobytes()))
    with pytest.raises(CorruptDataError, match=r"00000\.arrow: record batch 0"):
        reader.gather(ALL)


@pytest.mark.fault
def test_a_table_that_is_truncated_in_use_is_an_error(small_blocks):
    reader = open_dataset(small_blocks).reader(TRAIN)
    reader.gather(ALL[:1])
    os.truncate(small_blocks / TABLE, 100)
    with pytest.raises(CorruptDataError, match=f"{TABLE}: 100 bytes long, expected"):
        reader.gather(ALL)
    assert np.array_equal(reader.gather(ALL[:1]), ROWS[:1])


def test_an_error_of_the_table_names_no_other_place(place):
    (place.source / TABLE).write_bytes(b"")
    with pytest.raises((CorruptDataError, DatasetError), match=TABLE):
        reader_at(place).gather(ALL)
