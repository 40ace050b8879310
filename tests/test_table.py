import pytest

from pipeline import table as table_module
from pipeline.table import decode_entries, encode_entries, write_table
from schemas.manifest import HELDOUT, TRAIN, FileHashes, ShardEntry


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


@pytest.mark.usefixtures("small_blocks")
def test_blocks_hold_one_split_each_and_count_its_rows(tmp_path):
    listed = entries(TRAIN, [4, 5, 6]) + entries(HELDOUT, [2])
    _, blocks = write_table(tmp_path / "t.arrow", listed)
    found = [(block.split, block.shards, block.first_row, block.rows) for block in blocks]
    assert found == [(TRAIN, 2, 0, 9), (TRAIN, 1, 9, 6), (HELDOUT, 1, 0, 2)]


def test_equal_entries_give_equal_tables(tmp_path):
    listed = entries(TRAIN, [3, 4])
    first, second = tmp_path / "1.arrow", tmp_path / "2.arrow"
    assert write_table(first, listed) == write_table(second, listed)
    assert first.read_bytes() == second.read_bytes()


def test_entries_come_back_from_any_part_of_a_block():
    listed = entries(TRAIN, [3, 4, 5, 6])
    batch = encode_entries(listed)
    assert decode_entries(batch) == listed
    assert decode_entries(batch.slice(1, 2)) == listed[1:3]
    assert decode_entries(batch.slice(4)) == []
