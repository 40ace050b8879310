import random

import pytest

from pipeline import table as table_module
from pipeline.dataset import open_dataset
from pipeline.table import ShardTable, write_table
from schemas.errors import CorruptDataError
from schemas.manifest import HELDOUT, TRAIN, FileHashes, ShardEntry
from tests.datasets import TABLE, write_dataset


def entries(split, rows):
    hashes = FileHashes(9, "ab" * 32, (0, 4, 6, 9), (1, 2, 2**64 - 1))
    return [
        ShardEntry(
            f"shards/{split}/{n}.arrow", split, "0" * 64, 0, 1, n, count, sum(rows[:n]), 7, hashes
        )
        for n, count in enumerate(rows)
    ]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK_SHARDS", 2)


@pytest.fixture
def dataset(tmp_path, small_blocks):
    return open_dataset(write_dataset(tmp_path, rows=50, heldout=6, shards=5))


def open_table(dataset, split=TRAIN):
    return ShardTable(dataset.path / TABLE, dataset.manifest, split)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_hold_one_split_each_and_count_its_rows(tmp_path):
    listed = entries(TRAIN, [4, 5, 6]) + entries(HELDOUT, [2])
    _, blocks = write_table(tmp_path / "t.arrow", listed)
    found = [(block.split, block.shards, block.first_row, block.rows) for block in blocks]
    assert found == [(TRAIN, 2, 0, 9), (TRAIN, 1, 9, 6), (HELDOUT, 1, 0, 2)]


def test_a_table_gives_back_the_shards_of_its_split(dataset):
    paths = [entry.path for entry in open_table(dataset)]
    assert paths == [f"shards/train/{number:05d}.arrow" for number in range(5)]
    assert [entry.split for entry in open_table(dataset, HELDOUT)] == [HELDOUT] * 5


def test_every_row_is_found_in_its_block(dataset):
    table = open_table(dataset)
    for row in range(50):
        shards = table.shards(table.block_of(row))
        assert shards[0].first_row <= row < shards[-1].first_row + shards[-1].rows


def test_equal_entries_give_equal_tables(tmp_path):
    listed = entries(TRAIN, [3, 4])
    first, second = tmp_path / "1.arrow", tmp_path / "2.arrow"
    assert write_table(first, listed) == write_table(second, listed)
    assert first.read_bytes() == second.read_bytes()


def test_any_flipped_byte_of_the_table_is_an_error_naming_it(dataset):
    path = dataset.path / TABLE
    content = path.read_bytes()
    for position in random.Random(0).sample(range(len(content)), 300):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(CorruptDataError, match=rf"{TABLE}: .* is damaged.*repair"):
            [list(open_table(dataset, split)) for split in (TRAIN, HELDOUT)]


def test_a_damaged_block_spares_the_others(dataset):
    path, hashes = dataset.path / TABLE, dataset.manifest.table.hashes
    content = bytearray(path.read_bytes())
    content[hashes.offsets[2] - 1] ^= 1
    path.write_bytes(content)
    table = open_table(dataset)
    assert len(table.shards(1)) == 2
    with pytest.raises(CorruptDataError, match="record batch 0"):
        table.shards(0)
